// SPDX-License-Identifier: BSD-3-Clause
// Types that package reflect makes are those that the program has, whatever packages they name; and
// a method that reflect calls for a deferred function may recover.

package main

import (
	"fmt"
	"reflect"
)

type all struct{ n int }
type small uint8

var values = []interface{}{
	new(*all), new(map[small]string), new([]all), new(func(all) small), new(chan all),
	new([3]all), new(map[all]struct{ *all }),
}

func made() {
	a, s := reflect.TypeOf(all{}), reflect.TypeOf(small(0))
	fmt.Println(
		reflect.SliceOf(a) == reflect.TypeOf([]all{}),
		reflect.MapOf(s, a) == reflect.TypeOf(map[small]all{}),
		reflect.ChanOf(reflect.BothDir, a) == reflect.TypeOf(make(chan all)),
		reflect.ArrayOf(3, a) == reflect.TypeOf([3]all{}),
		reflect.FuncOf([]reflect.Type{a}, nil, false) == reflect.TypeOf(func(all) {}),
		reflect.StructOf([]reflect.StructField{{Name: "A", Type: a}}) ==
			reflect.TypeOf(struct{ A all }{}),
		reflect.PtrTo(reflect.ArrayOf(5, a)) == reflect.PtrTo(reflect.ArrayOf(5, a)))
}

func again() interface{} { return recover() }

func (a *all) M() { fmt.Println(again(), recover(), a.n) }

func deferred(f func()) {
	defer f()
	panic("of a method")
}

func main() {
	for _, v := range values {
		t := reflect.TypeOf(v).Elem()
		fresh := reflect.New(t).Interface()
		fmt.Println(t, reflect.PtrTo(t) == reflect.TypeOf(v), reflect.DeepEqual(fresh, v))
	}
	made()
	a := &all{5}
	deferred(a.M)
	deferred(reflect.ValueOf(a).Method(0).Interface().(func()))
}

// Output:
// *main.all true true
// map[main.small]string true true
// []main.all true true
// func(main.all) main.small true true
// chan main.all true true
// [3]main.all true true
// map[main.all]struct { *main.all } true true
// true true true true true true true
// <nil> of a method 5
// <nil> of a method 5
