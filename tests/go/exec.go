// SPDX-License-Identifier: BSD-3-Clause
// Files, processes, pipes.

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	dir, err := os.MkdirTemp("", "go-exec")
	must(err)
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "file")
	must(os.WriteFile(name, []byte("one\ntwo\n"), 0o600))
	f, err := os.Open(name)
	must(err)
	for sc := bufio.NewScanner(f); sc.Scan(); {
		fmt.Println(sc.Text())
	}
	must(f.Close())
	_, err = os.Open(name + "?")
	fmt.Println(os.IsNotExist(err))
	out, err := exec.Command("sh", "-c", "echo $0; cat", "child").CombinedOutput()
	fmt.Println(string(out), err)
	cmd := exec.Command("tr", "a-z", "A-Z")
	cmd.Stdin = strings.NewReader("shout")
	cmd.Stdout = os.Stdout
	must(cmd.Run())
	fmt.Println()
	fmt.Println(exec.Command("sh", "-c", "exit 7").Run())
	r, w, err := os.Pipe()
	must(err)
	go func() {
		fmt.Fprint(w, "through a pipe")
		w.Close()
	}()
	b, err := io.ReadAll(r)
	fmt.Println(string(b), err)
}

// Output:
// one
// two
// true
// child
//  <nil>
// SHOUT
// exit status 7
// through a pipe <nil>
