// SPDX-License-Identifier: BSD-3-Clause
// Panics of the runtime itself: their values, which programs see, and the texts of all panics.

package runtime

import "unsafe"

// What C and compiled code call:
//
//go:linkname panicplain
//go:linkname panicerror
//go:linkname panicstring
//go:linkname panicaddress
//go:linkname panicmem
//go:linkname panicdivide
//go:linkname panicshift
//go:linkname getDivideError
//go:linkname getOverflowError
//go:linkname panicassert
//go:linkname panictext
//go:linkname goPanicIndex
//go:linkname goPanicIndexU
//go:linkname goPanicSliceAlen
//go:linkname goPanicSliceAlenU
//go:linkname goPanicSliceAcap
//go:linkname goPanicSliceAcapU
//go:linkname goPanicSliceB
//go:linkname goPanicSliceBU
//go:linkname goPanicSlice3Alen
//go:linkname goPanicSlice3AlenU
//go:linkname goPanicSlice3Acap
//go:linkname goPanicSlice3AcapU
//go:linkname goPanicSlice3B
//go:linkname goPanicSlice3BU
//go:linkname goPanicSlice3C
//go:linkname goPanicSlice3CU
//go:linkname goPanicSliceConvert

// An Error is a panic of the runtime.
type Error interface {
	error
	RuntimeError()
}

type stringer interface {
	String() string
}

// errorString is printed with "runtime error: " before it.
type errorString string

func (e errorString) RuntimeError() {}
func (e errorString) Error() string { return "runtime error: " + string(e) }

// plainError is printed as it is.
type plainError string

func (e plainError) RuntimeError() {}
func (e plainError) Error() string { return string(e) }

// errorAddressString is a fault at an address that the program may ask for.
type errorAddressString struct {
	msg  string
	addr uintptr
}

func (e errorAddressString) RuntimeError() {}
func (e errorAddressString) Error() string { return "runtime error: " + e.msg }
func (e errorAddressString) Addr() uintptr { return e.addr }

func panicplain(text string)               { panic(plainError(text)) }
func panicerror(text string)               { panic(errorString(text)) }
func panicstring(text string)              { panic(text) }
func panicaddress(text string, at uintptr) { panic(errorAddressString{text, at}) }

func panicmem()    { panic(errorString("invalid memory address or nil pointer dereference")) }
func panicdivide() { panic(errorString("integer divide by zero")) }
func panicshift()  { panic(errorString("negative shift amount")) }

// NewErrorCString is for C: an error with the text at s, in ret.
func NewErrorCString(s uintptr, ret *interface{}) {
	var text []byte
	for ; *(*byte)(unsafe.Pointer(s)) != 0; s++ {
		text = append(text, *(*byte)(unsafe.Pointer(s)))
	}
	*ret = errorString(text)
}

func getDivideError() error   { return errorString("integer divide by zero") }
func getOverflowError() error { return errorString("integer overflow") }

// --- type assertions -----------------------------------------------------------------------------

type _type struct {
	opaque [64]byte
}

// typetext is as %T prints it; typepath the path of the type's package.
func typetext(t *_type) string
func throw(text string)
func typepath(t *_type) string

// A TypeAssertionError is a failed type assertion. No field but the last is exported anywhere.
type TypeAssertionError struct {
	_interface    *_type
	concrete      *_type
	asserted      *_type
	missingMethod string
}

func (*TypeAssertionError) RuntimeError() {}

func (e *TypeAssertionError) Error() string {
	inter := "interface"
	if e._interface != nil {
		inter = typetext(e._interface)
	}
	as := typetext(e.asserted)
	if e.concrete == nil {
		return "interface conversion: " + inter + " is nil, not " + as
	}
	cs := typetext(e.concrete)
	if e.missingMethod != "" {
		return "interface conversion: " + cs + " is not " + as +
			": missing method " + e.missingMethod
	}
	msg := "interface conversion: " + inter + " is " + cs + ", not " + as
	if cs == as {
		if typepath(e.concrete) != typepath(e.asserted) {
			msg += " (types from different packages)"
		} else {
			msg += " (types from different scopes)"
		}
	}
	return msg
}

// A missing method, or none: then the concrete type was asked for.
func panicassert(have, want, iface *_type, missing string) {
	if missing != "" || iface == want {
		if have == nil {
			iface = nil
		}
		panic(&TypeAssertionError{nil, have, want, missing})
	}
	panic(&TypeAssertionError{iface, have, want, ""})
}

// --- indices out of range ------------------------------------------------------------------------

type boundsErrorCode uint8

const (
	boundsIndex boundsErrorCode = iota
	boundsSliceAlen
	boundsSliceAcap
	boundsSliceB
	boundsSlice3Alen
	boundsSlice3Acap
	boundsSlice3B
	boundsSlice3C
	boundsConvert
)

// %x is the first number, %y the second.
var boundsTexts = [...]string{
	boundsIndex:      "index out of range [%x] with length %y",
	boundsSliceAlen:  "slice bounds out of range [:%x] with length %y",
	boundsSliceAcap:  "slice bounds out of range [:%x] with capacity %y",
	boundsSliceB:     "slice bounds out of range [%x:%y]",
	boundsSlice3Alen: "slice bounds out of range [::%x] with length %y",
	boundsSlice3Acap: "slice bounds out of range [::%x] with capacity %y",
	boundsSlice3B:    "slice bounds out of range [:%x:%y]",
	boundsSlice3C:    "slice bounds out of range [%x:%y:]",
	boundsConvert:    "cannot convert slice with length %y to pointer to array with length %x",
}

// The same for a first number below 0.
var boundsTextsNegative = [...]string{
	boundsIndex:      "index out of range [%x]",
	boundsSliceAlen:  "slice bounds out of range [:%x]",
	boundsSliceAcap:  "slice bounds out of range [:%x]",
	boundsSliceB:     "slice bounds out of range [%x:]",
	boundsSlice3Alen: "slice bounds out of range [::%x]",
	boundsSlice3Acap: "slice bounds out of range [::%x]",
	boundsSlice3B:    "slice bounds out of range [:%x:]",
	boundsSlice3C:    "slice bounds out of range [%x::]",
}

type boundsError struct {
	x      int64
	y      int
	signed bool
	code   boundsErrorCode
}

func (e boundsError) RuntimeError() {}

func (e boundsError) Error() string {
	text := boundsTexts[e.code]
	if e.signed && e.x < 0 {
		text = boundsTextsNegative[e.code]
	}
	out := "runtime error: "
	from := 0
	for i := 0; i+1 < len(text); i++ {
		if text[i] != '%' {
			continue
		}
		n := digits(uint64(e.y), true)
		if text[i+1] == 'x' {
			n = digits(uint64(e.x), e.signed)
		}
		out += text[from:i] + n
		from = i + 2
	}
	return out + text[from:]
}

func digits(v uint64, signed bool) string {
	var buf [20]byte
	minus := signed && int64(v) < 0
	if minus {
		v = -v
	}
	i := len(buf)
	for {
		i--
		buf[i] = byte('0' + v%10)
		v /= 10
		if v == 0 {
			break
		}
	}
	if minus {
		i--
		buf[i] = '-'
	}
	return string(buf[i:])
}

func bad(x, y int, signed bool, code boundsErrorCode) {
	panic(boundsError{int64(x), y, signed, code})
}

func goPanicIndex(x, y int)       { bad(x, y, true, boundsIndex) }
func goPanicIndexU(x, y int)      { bad(x, y, false, boundsIndex) }
func goPanicSliceAlen(x, y int)   { bad(x, y, true, boundsSliceAlen) }
func goPanicSliceAlenU(x, y int)  { bad(x, y, false, boundsSliceAlen) }
func goPanicSliceAcap(x, y int)   { bad(x, y, true, boundsSliceAcap) }
func goPanicSliceAcapU(x, y int)  { bad(x, y, false, boundsSliceAcap) }
func goPanicSliceB(x, y int)      { bad(x, y, true, boundsSliceB) }
func goPanicSliceBU(x, y int)     { bad(x, y, false, boundsSliceB) }
func goPanicSlice3Alen(x, y int)  { bad(x, y, true, boundsSlice3Alen) }
func goPanicSlice3AlenU(x, y int) { bad(x, y, false, boundsSlice3Alen) }
func goPanicSlice3Acap(x, y int)  { bad(x, y, true, boundsSlice3Acap) }
func goPanicSlice3AcapU(x, y int) { bad(x, y, false, boundsSlice3Acap) }
func goPanicSlice3B(x, y int)     { bad(x, y, true, boundsSlice3B) }
func goPanicSlice3BU(x, y int)    { bad(x, y, false, boundsSlice3B) }
func goPanicSlice3C(x, y int)     { bad(x, y, true, boundsSlice3C) }
func goPanicSlice3CU(x, y int)    { bad(x, y, false, boundsSlice3C) }

func goPanicSliceConvert(x, y int) { bad(x, y, true, boundsConvert) }

// --- the text of a panic nobody recovers ---------------------------------------------------------

func floattext(v float64) string
func addresstext(v interface{}) string

// As the process ends of it. Its methods may panic in their turn, and that is the end as well.
func panictext(v interface{}) string {
	defer endinpanic()
	return textof(v)
}

func endinpanic() {
	const what = "panic while printing panic value: "
	switch r := recover().(type) {
	case nil:
	case string:
		throw(what + r)
	default:
		throw(what + "type " + typetext((*eface)(unsafe.Pointer(&r)).t))
	}
}

func textof(v interface{}) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case error:
		return v.Error()
	case stringer:
		return v.String()
	case bool:
		if v {
			return "true"
		}
		return "false"
	case int:
		return digits(uint64(v), true)
	case int8:
		return digits(uint64(v), true)
	case int16:
		return digits(uint64(v), true)
	case int32:
		return digits(uint64(v), true)
	case int64:
		return digits(uint64(v), true)
	case uint:
		return digits(uint64(v), false)
	case uint8:
		return digits(uint64(v), false)
	case uint16:
		return digits(uint64(v), false)
	case uint32:
		return digits(uint64(v), false)
	case uint64:
		return digits(v, false)
	case uintptr:
		return digits(uint64(v), false)
	case float32:
		return floattext(float64(v))
	case float64:
		return floattext(v)
	case complex64:
		return "(" + floattext(float64(real(v))) + floattext(float64(imag(v))) + "i)"
	case complex128:
		return "(" + floattext(real(v)) + floattext(imag(v)) + "i)"
	case string:
		return v
	}
	return namedtext(v)
}

// A value of a type that is a basic one by another name: main.T(5), main.T("x").
func namedtext(v interface{}) string {
	t, p := (*eface)(unsafe.Pointer(&v)).t, (*eface)(unsafe.Pointer(&v)).data
	name := typetext(t)
	var text string
	switch typekind(t) {
	case 1:
		text = textof(*(*bool)(p))
	case 2:
		text = textof(*(*int)(p))
	case 3:
		text = textof(*(*int8)(p))
	case 4:
		text = textof(*(*int16)(p))
	case 5:
		text = textof(*(*int32)(p))
	case 6:
		text = textof(*(*int64)(p))
	case 7:
		text = textof(*(*uint)(p))
	case 8:
		text = textof(*(*uint8)(p))
	case 9:
		text = textof(*(*uint16)(p))
	case 10:
		text = textof(*(*uint32)(p))
	case 11:
		text = textof(*(*uint64)(p))
	case 12:
		text = textof(*(*uintptr)(p))
	case 13:
		text = textof(*(*float32)(p))
	case 14:
		text = textof(*(*float64)(p))
	case 15:
		return name + textof(*(*complex64)(p))
	case 16:
		return name + textof(*(*complex128)(p))
	case 24:
		return name + `("` + *(*string)(p) + `")`
	default:
		return "(" + name + ") " + addresstext(v)
	}
	return name + "(" + text + ")"
}

type eface struct {
	t    *_type
	data unsafe.Pointer
}

func typekind(t *_type) int
