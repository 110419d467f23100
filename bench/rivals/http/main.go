// SPDX-License-Identifier: BSD-3-Clause
// Go's own web server, which answers as examples/http does. Prints its address.

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("http: listening at", listener.Addr())
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = []string{"text/plain"}
		w.Header()["Server"] = []string{"go"}
		io.WriteString(w, "hello, world\n")
	})
	panic(http.Serve(listener, nil))
}
