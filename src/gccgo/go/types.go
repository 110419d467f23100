// SPDX-License-Identifier: BSD-3-Clause
// The exported types of package runtime. Programs are compiled against gccgo's own export data, so
// sizes and the order of fields are fixed.

package runtime

// --- callers -------------------------------------------------------------------------------------

// A Func names the function that an address is in.
type Func struct {
	name  string
	entry uintptr
}

// Name of the function; "" for nil.
func (f *Func) Name() string {
	if f == nil {
		return ""
	}
	return f.name
}

// Entry is where it begins.
func (f *Func) Entry() uintptr {
	if f == nil {
		return 0
	}
	return f.entry
}

// FileLine of an address in it.
func (f *Func) FileLine(pc uintptr) (file string, line int) {
	_, file, line, _, _ = frameat(pc, 0)
	return file, line
}

// frameat tells of a return address. There may be functions inlined: nth counts from the inside.
func frameat(pc uintptr, nth int) (function, file string, line int, entry uintptr, more bool)

// A Frame is one entry of a stack. PC is within the call.
type Frame struct {
	PC       uintptr
	Func     *Func
	Function string
	File     string
	Line     int
	Entry    uintptr
}

// Frames turns addresses into entries. lastCount entries of the first address have been given.
type Frames struct {
	callers   []uintptr
	last      uintptr
	lastCount int
}

// CallersFrames of what Callers has returned.
func CallersFrames(callers []uintptr) *Frames {
	return &Frames{callers: callers}
}

// Next entry, and whether there are more.
func (ci *Frames) Next() (frame Frame, more bool) {
	for len(ci.callers) > 0 {
		pc := ci.callers[0]
		function, file, line, entry, inlined := frameat(pc, ci.lastCount)
		ci.lastCount++
		if !inlined || ci.tellsAll() {
			ci.callers = ci.callers[1:]
			ci.lastCount = 0
		}
		if function == "" && file == "" {
			continue
		}
		f := &Func{name: function, entry: entry}
		return Frame{PC: pc - 1, Func: f, Function: function, File: file, Line: line,
			Entry: entry}, len(ci.callers) > 0
	}
	return Frame{}, false
}

// tellsAll is whether the functions around the first address's have addresses behind it.
func (ci *Frames) tellsAll() bool {
	return len(ci.callers) > 1 && standsat(ci.callers[1]) == ci.callers[0]
}

// FuncForPC is the function that pc is in, or nil.
func FuncForPC(pc uintptr) *Func {
	function, _, _, entry, _ := frameat(pc+1, 0)
	if function == "" {
		return nil
	}
	return &Func{name: function, entry: entry}
}

// Caller is the function that many calls above; one that is inlined counts like any. Like a
// Frame's, pc is within the call, not behind it.
func Caller(skip int) (pc uintptr, file string, line int, ok bool) {
	var pcs [1]uintptr
	if skip < 0 {
		skip = 0
	}
	if Callers(skip+2, pcs[:]) == 0 {
		return 0, "", 0, false
	}
	_, file, line, _, _ = frameat(pcs[0], 0)
	return pcs[0] - 1, file, line, true
}

// Callers fills pcs with addresses, one of each function; 0 is that of Callers itself. Of functions
// that are inlined into another only the innermost has the true return address, the others have
// what stands for it.
func Callers(skip int, pcs []uintptr) int

// returns fills pcs with return addresses.
func returns(skip int, pcs []uintptr) int

// standsat is the return address that an address from Callers stands for, or 0.
func standsat(pc uintptr) uintptr

// --- records of profiles -------------------------------------------------------------------------

// A StackRecord is a stack.
type StackRecord struct {
	Stack0 [32]uintptr
}

// Stack up to the first 0.
func (r *StackRecord) Stack() []uintptr {
	for i, v := range r.Stack0 {
		if v == 0 {
			return r.Stack0[:i]
		}
	}
	return r.Stack0[:]
}

// A MemProfileRecord is what was allocated by one stack.
type MemProfileRecord struct {
	AllocBytes, FreeBytes     int64
	AllocObjects, FreeObjects int64
	Stack0                    [32]uintptr
}

// InUseBytes is allocated less freed.
func (r *MemProfileRecord) InUseBytes() int64 { return r.AllocBytes - r.FreeBytes }

// InUseObjects is allocated less freed.
func (r *MemProfileRecord) InUseObjects() int64 { return r.AllocObjects - r.FreeObjects }

// Stack up to the first 0.
func (r *MemProfileRecord) Stack() []uintptr {
	for i, v := range r.Stack0 {
		if v == 0 {
			return r.Stack0[:i]
		}
	}
	return r.Stack0[:]
}

// A BlockProfileRecord is how long one stack has waited.
type BlockProfileRecord struct {
	Count  int64
	Cycles int64
	StackRecord
}

// --- statistics ----------------------------------------------------------------------------------

// MemStats are numbers of the heap.
type MemStats struct {
	Alloc         uint64
	TotalAlloc    uint64
	Sys           uint64
	Lookups       uint64
	Mallocs       uint64
	Frees         uint64
	HeapAlloc     uint64
	HeapSys       uint64
	HeapIdle      uint64
	HeapInuse     uint64
	HeapReleased  uint64
	HeapObjects   uint64
	StackInuse    uint64
	StackSys      uint64
	MSpanInuse    uint64
	MSpanSys      uint64
	MCacheInuse   uint64
	MCacheSys     uint64
	BuckHashSys   uint64
	GCSys         uint64
	OtherSys      uint64
	NextGC        uint64
	LastGC        uint64
	PauseTotalNs  uint64
	PauseNs       [256]uint64
	PauseEnd      [256]uint64
	NumGC         uint32
	NumForcedGC   uint32
	GCCPUFraction float64
	EnableGC      bool
	DebugGC       bool
	BySize        [61]struct {
		Size    uint32
		Mallocs uint64
		Frees   uint64
	}
}

// ReadMemStats fills m.
func ReadMemStats(m *MemStats)

// memstats keeps the types' descriptors in this file.
var _ = [...]interface{}{(*MemStats)(nil), (*StackRecord)(nil), (*MemProfileRecord)(nil),
	(*BlockProfileRecord)(nil), (*Frame)(nil), (*Frames)(nil), (*Func)(nil)}
