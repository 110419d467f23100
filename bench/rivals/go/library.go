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

const (
	libLine = "Vier Jäger zögern, 12345 quick zephyrs blow; a@example.org.\n"
	libForm = "{{.ID}} {{.Buyer}}:{{range .Items}} {{.Amount}} {{.Name}} at {{.Price}}{{end}}\n"
)

func libText() string {
	return strings.Repeat(libLine, libLines)
}

func libWordsBody(n int64) {
	text := libText()
	for ; n > 0; n-- {
		s, words := bufio.NewScanner(strings.NewReader(text)), 0
		for s.Split(bufio.ScanWords); s.Scan(); words++ {
		}
		check(words == libWords*libLines, "lib_words: wrong")
	}
}

func libRunesBody(n int64) {
	text := libText()
	for ; n > 0; n-- {
		runes := utf8.RuneCountInString(text)
		check(len(text) == runes+2*libLines, "lib_runes: wrong")
	}
}

func libStringsBody(n int64) {
	text := libText()
	for ; n > 0; n-- {
		s := strings.Replace(strings.ToUpper(text), "ZEPHYRS", "GNUS", -1)
		check(len(strings.Fields(s)) == libWords*libLines, "lib_strings: wrong")
	}
}

func libTemplateBody(n int64) {
	t, o := template.Must(template.New("order").Parse(libForm)), newOrder(1)
	for ; n > 0; n-- {
		check(t.Execute(io.Discard, o) == nil, "lib_template: not written")
	}
}

func libJSONBody(n int64) {
	written := newOrder(1)
	for ; n > 0; n-- {
		var o order
		text, err := json.Marshal(written)
		check(err == nil && json.Unmarshal(text, &o) == nil, "lib_json: not understood")
		check(len(o.Items) == jsonItems, "lib_json: wrong")
	}
}

func libGzipBody(n int64) {
	text := libText()
	for ; n > 0; n-- {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		io.WriteString(w, text)
		w.Close()
		r, err := gzip.NewReader(&packed)
		check(err == nil, "lib_gzip: not packed")
		restored, err := io.ReadAll(r)
		check(err == nil && len(restored) == len(text), "lib_gzip: wrong")
	}
}

func libBase64Body(n int64) {
	text := libText()
	for ; n > 0; n-- {
		coded := base64.StdEncoding.EncodeToString([]byte(text))
		restored, err := base64.StdEncoding.DecodeString(coded)
		check(err == nil && len(restored) == len(text), "lib_base64: wrong")
	}
}
