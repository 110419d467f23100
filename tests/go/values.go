// SPDX-License-Identifier: BSD-3-Clause
// Maps, strings, slices, interfaces, reflection.

package main

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
)

type key struct {
	s string
	n int
	f float64
}

type shape interface{ area() float64 }
type square struct{ a float64 }
type circle struct{ r float32 }

func (s square) area() float64  { return s.a * s.a }
func (c *circle) area() float64 { return float64(c.r) * 3 }

func many(a int8, b float32, c string, d []int, e square, f [3]int64, g interface{},
	h ...bool) (string, float64, bool) {
	return fmt.Sprint(a, b, c, d, e, f, g, h), e.a, len(h) > 1
}

func maps() {
	m := map[key]string{}
	for i := 0; i < 1000; i++ {
		m[key{fmt.Sprint(i), i, float64(i) / 2}] = strings.Repeat("x", i%7)
	}
	for i := 0; i < 1000; i += 2 {
		delete(m, key{fmt.Sprint(i), i, float64(i) / 2})
	}
	n, sum := 0, 0
	for k, v := range m {
		n += k.n
		sum += len(v)
	}
	fmt.Println(len(m), n, sum, m[key{"7", 7, 3.5}] == "", m[key{"13", 13, 6.5}])
	i := map[interface{}]int{1: 1, "1": 2, 1.0: 3, key{}: 4, nil: 5}
	fmt.Println(i[1], i["1"], i[1.0], i[key{}], i[nil], i[2])
	large := map[int][50]int{1: {49: 5}}
	fmt.Println(large[1][49], large[2][49])
	for k := range m {
		delete(m, k)
	}
	var none map[string]int
	_, ok := none["x"]
	fmt.Println(len(m), len(none), ok)
}

func texts() {
	s := "aé世\xff🎉"
	for i, r := range s {
		fmt.Print(i, ":", r, " ")
	}
	fmt.Println([]rune(s), string([]rune(s)), []byte(s)[:3])
	fmt.Println(string(rune(0x4e16)), s > "a", s+s == s)
	var b []int
	for i := 0; i < 1000; i++ {
		b = append(b, i)
	}
	b = append(b[:10], b[500:]...)
	fmt.Println(len(b), b[10], cap(b) >= 1000)
	fmt.Println(copy(b, b[1:]), b[0])
	fmt.Println(joined())
}

type raw []byte
type text struct{ body string }

func (t *text) add(v interface{}) {
	if r, ok := v.(raw); ok {
		t.body += string(r)
	}
}

var parts = []raw{raw("first"), raw("again")}

// The bytes of a string are its own, also when it was joined to an empty one.
func joined() string {
	var t text
	for _, part := range parts {
		t.add(part)
		part[0] = '-'
	}
	return t.body
}

func reflected() {
	f := reflect.ValueOf(many)
	out := f.Call([]reflect.Value{
		reflect.ValueOf(int8(-3)), reflect.ValueOf(float32(1.5)), reflect.ValueOf("s"),
		reflect.ValueOf([]int{1, 2}), reflect.ValueOf(square{2}),
		reflect.ValueOf([3]int64{7, 8, 9}), reflect.ValueOf(5), reflect.ValueOf(true),
		reflect.ValueOf(false),
	})
	fmt.Println(out[0], out[1], out[2])
	v := reflect.ValueOf(square{3}).MethodByName("area")
	_ = v
	swap := func(in []reflect.Value) []reflect.Value { return []reflect.Value{in[1], in[0]} }
	var s func(a string, b int) (int, string)
	reflect.ValueOf(&s).Elem().Set(reflect.MakeFunc(reflect.TypeOf(s), swap))
	fmt.Println(s("one", 2))
	var g func(a float64, b, c float32, d square) float64
	sum := func(in []reflect.Value) []reflect.Value {
		v := in[0].Float() + in[1].Float() + in[2].Float() + in[3].Field(0).Float()
		return []reflect.Value{reflect.ValueOf(v)}
	}
	reflect.ValueOf(&g).Elem().Set(reflect.MakeFunc(reflect.TypeOf(g), sum))
	fmt.Println(g(1, 2, 3, square{4}))
	c := reflect.MakeChan(reflect.ChanOf(reflect.BothDir, reflect.TypeOf(0)), 1)
	c.Send(reflect.ValueOf(9))
	chosen, got, ok := reflect.Select([]reflect.SelectCase{
		{Dir: reflect.SelectRecv, Chan: c},
		{Dir: reflect.SelectDefault},
	})
	fmt.Println(chosen, got, ok)
	m := reflect.MakeMap(reflect.MapOf(reflect.TypeOf(""), reflect.TypeOf(0)))
	m.SetMapIndex(reflect.ValueOf("k"), reflect.ValueOf(1))
	same := reflect.DeepEqual(m.Interface(), map[string]int{"k": 1})
	fmt.Println(m.Interface(), m.Len(), same)
	t := reflect.StructOf([]reflect.StructField{
		{Name: "A", Type: reflect.TypeOf(0)},
		{Name: "B", Type: reflect.TypeOf("")},
	})
	fmt.Printf("%+v\n", reflect.New(t).Elem().Interface())
}

func main() {
	maps()
	texts()
	shapes := []shape{square{2}, &circle{1}, square{1}}
	sort.Slice(shapes, func(i, j int) bool { return shapes[i].area() < shapes[j].area() })
	for _, s := range shapes {
		switch s := s.(type) {
		case square:
			fmt.Print("square ", s.a, " ")
		case *circle:
			fmt.Print("circle ", s.r, " ")
		}
	}
	fmt.Println(shapes[0] == shape(square{1}), shapes[0] == shapes[1])
	reflected()
}

// Output:
// 500 250000 1500 true xxxxxx
// 1 2 3 4 5 0
// 5 0
// 0 0 false
// 0:97 1:233 3:19990 6:65533 7:127881 [97 233 19990 65533 127881] aé世�🎉 [97 195 169]
// 世 true false
// 510 500 true
// 509 1
// firstagain
// square 1 circle 1 square 2 true false
// -3 1.5s[1 2] {2} [7 8 9] 5 [true false] 2 true
// 2 one
// 10
// 0 9 true
// map[k:1] 1 true
// {A:0 B:}
