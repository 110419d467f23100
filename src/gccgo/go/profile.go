// SPDX-License-Identifier: BSD-3-Clause
// Profiles, the part in Go: what goroutines do, and samples as package runtime/pprof reads them.

package runtime

import "unsafe"

// --- goroutines ----------------------------------------------------------------------------------

// A profileOf goroutines is filled as far as there is room.
type profileOf struct {
	records []StackRecord
	labels  []unsafe.Pointer
	n       int
}

func (p *profileOf) add(pcs []uintptr, labels unsafe.Pointer) {
	if p.n < len(p.records) {
		r := &p.records[p.n]
		for i := copy(r.Stack0[:], pcs); i < len(r.Stack0); i++ {
			r.Stack0[i] = 0
		}
	}
	if p.n < len(p.labels) {
		p.labels[p.n] = labels
	}
	p.n++
}

func (p *profileOf) addOther(g uintptr) {
	var pcs [lookFrames]uintptr
	_, _, labels, n, _, ok := lookat(g, pcs[:])
	if ok {
		p.add(pcs[:n], labels)
	}
}

//go:linkname goroutineProfileWithLabels runtime_1pprof.runtime__goroutineProfileWithLabels
func goroutineProfileWithLabels(records []StackRecord, labels []unsafe.Pointer) (n int, ok bool) {
	if len(records) == 0 {
		return int(gcount()), false
	}
	p := profileOf{records: records, labels: labels}
	var pcs [lookFrames]uintptr
	p.add(pcs[:returns(2, pcs[:])], getproflabel())
	for _, g := range others() {
		p.addOther(g)
	}
	return p.n, p.n <= len(records)
}

// gcount is how many goroutines there are.
func gcount() int32

//go:linkname getproflabel runtime_1pprof.runtime__getProfLabel
func getproflabel() unsafe.Pointer

// GoroutineProfile fills p with the stacks of all goroutines, if there is room.
func GoroutineProfile(p []StackRecord) (n int, ok bool) {
	return goroutineProfileWithLabels(p, nil)
}

// --- the CPU profile -----------------------------------------------------------------------------

// profilestate is how many samples a second are wanted, and whether there will be no more.
func profilestate() (hz int, ended bool)

// profileended is called when the reader has been told that.
func profileended()

func takesample(pcs []uintptr) (n int, labels unsafe.Pointer)
func lostsamples() uint64

// profilebegun: the reader has got the head of the profile. It is the reader's own.
var profilebegun bool

// readProfile returns what there is, as package runtime/pprof reads it: records that begin with
// their length, a time that nobody reads, and a count. The first tells the rate; one with a count
// of 0 and one address, how many samples were lost.
//
//go:linkname readProfile runtime_1pprof.readProfile
func readProfile() (data []uint64, tags []unsafe.Pointer, eof bool) {
	const head = 3
	hz, ended := profilestate()
	if !profilebegun {
		data = append(data, head, 0, uint64(hz))
		tags = append(tags, nil)
		profilebegun = true
	}
	var pcs [64]uintptr
	for {
		n, labels := takesample(pcs[:])
		if n == 0 {
			break
		}
		data = append(data, head+uint64(n), 0, 1)
		for _, pc := range pcs[:n] {
			data = append(data, uint64(pc))
		}
		tags = append(tags, labels)
	}
	if lost := lostsamples(); lost != 0 {
		data = append(data, head+1, 0, 0, lost)
		tags = append(tags, nil)
	}
	if ended {
		profilebegun = false
		profileended()
	}
	return data, tags, ended
}

// CPUProfile is no more, in Go neither.
func CPUProfile() []byte {
	panic("CPUProfile no longer available")
}
