// SPDX-License-Identifier: BSD-3-Clause

// Rows lib_*: packages of the standard library alone. What is read lies in memory, what is written
// is counted; an operation is the whole text or document.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"text/template"
	"unicode/utf8"
)

const (
	libLines = 200 // of the text
	libWords = 8   // of a line
)

var (
	libLine = "Vier Jäger zögern, 12345 quick zephyrs blow; a@example.org.\n"

	libText     = strings.Repeat(libLine, libLines)
	libTemplate = template.Must(template.New("order").Parse(
		"{{.ID}} {{.Buyer}}:{{range .Items}} {{.Amount}} {{.Name}} at {{.Price}}{{end}}\n"))
	libOrder = newOrder(1)
)

func libWordsBody(n int64) {
	for ; n > 0; n-- {
		s, words := bufio.NewScanner(strings.NewReader(libText)), 0
		for s.Split(bufio.ScanWords); s.Scan(); words++ {
		}
		check(words == libWords*libLines, "lib_words: wrong")
	}
}

func libRunesBody(n int64) {
	for ; n > 0; n-- {
		runes := utf8.RuneCountInString(libText)
		check(len(libText) == runes+2*libLines, "lib_runes: wrong")
	}
}

func libStringsBody(n int64) {
	for ; n > 0; n-- {
		s := strings.Replace(strings.ToUpper(libText), "ZEPHYRS", "GNUS", -1)
		check(len(strings.Fields(s)) == libWords*libLines, "lib_strings: wrong")
	}
}

func libTemplateBody(n int64) {
	for ; n > 0; n-- {
		check(libTemplate.Execute(io.Discard, libOrder) == nil, "lib_template: not written")
	}
}

func libJSONBody(n int64) {
	for ; n > 0; n-- {
		var o order
		text, err := json.Marshal(libOrder)
		check(err == nil && json.Unmarshal(text, &o) == nil, "lib_json: not understood")
		check(len(o.Items) == jsonItems, "lib_json: wrong")
	}
}

func libGzipBody(n int64) {
	for ; n > 0; n-- {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		io.WriteString(w, libText)
		w.Close()
		r, err := gzip.NewReader(&packed)
		check(err == nil, "lib_gzip: not packed")
		text, err := io.ReadAll(r)
		check(err == nil && len(text) == len(libText), "lib_gzip: wrong")
	}
}

func libBase64Body(n int64) {
	for ; n > 0; n-- {
		text, err := base64.StdEncoding.DecodeString(
			base64.StdEncoding.EncodeToString([]byte(libText)))
		check(err == nil && len(text) == len(libText), "lib_base64: wrong")
	}
}
