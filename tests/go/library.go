// SPDX-License-Identifier: BSD-3-Clause

// Every package that is compiled anew is linked, and none of libgo's own in its place (see run).
package main

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/flate"
	"compress/gzip"
	"compress/lzw"
	"compress/zlib"
	"container/heap"
	"container/list"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/ascii85"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"hash/adler32"
	"hash/crc32"
	"hash/crc64"
	"hash/fnv"
	"hash/maphash"
	"io"
	"math/big"
	"math/rand"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"sort"
	"strings"
	"text/scanner"
	"text/tabwriter"
	"text/template"
)

type note struct {
	From string  `json:"from"`
	Sum  float64 `json:"sum"`
	Tags []string
}

func there(packed io.Reader) string {
	text, err := io.ReadAll(packed)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %x", len(text), sha1.Sum(text))
}

func packings(text []byte) {
	var b bytes.Buffer
	g := gzip.NewWriter(&b)
	g.Write(text)
	g.Close()
	r, _ := gzip.NewReader(&b)
	fmt.Println("gzip", there(r))
	z := zlib.NewWriter(&b)
	z.Write(text)
	z.Close()
	rz, _ := zlib.NewReader(&b)
	fmt.Println("zlib", there(rz))
	f, _ := flate.NewWriter(&b, 9)
	f.Write(text)
	f.Close()
	fmt.Println("flate", there(flate.NewReader(&b)))
	l := lzw.NewWriter(&b, lzw.LSB, 8)
	l.Write(text)
	l.Close()
	fmt.Println("lzw", there(lzw.NewReader(&b, lzw.LSB, 8)))
	fmt.Println("bzip2", there(bzip2.NewReader(strings.NewReader("BZ"))))
}

func hashes(text []byte) {
	fmt.Printf("%x\n%x\n", md5.Sum(text), sha256.Sum256(text))
	long := sha512.Sum512(text)
	fmt.Printf("%x\n", long[:32])
	h := fnv.New64a()
	h.Write(text)
	fmt.Printf("%x %x %x %x\n", adler32.Checksum(text), crc32.ChecksumIEEE(text),
		crc64.Checksum(text, crc64.MakeTable(crc64.ISO)), h.Sum64())
	var m maphash.Hash
	m.Write(text)
	fmt.Println(m.Sum64() == m.Sum64())
	block, _ := aes.NewCipher(text[:16])
	cipher.NewCTR(block, text[:16]).XORKeyStream(text[:64], text[:64])
	fmt.Printf("%x\n", text[:20])
}

func encodings() {
	n := note{"böse", 1e21, []string{"a<b", "\t"}}
	j, _ := json.Marshal(n)
	x, _ := xml.Marshal(n)
	fmt.Printf("%s\n%s\n", j, x)
	fmt.Println(base64.StdEncoding.EncodeToString(j), base32.StdEncoding.EncodeToString(j[:9]))
	fmt.Println(hex.EncodeToString(j[:9]), binary.LittleEndian.Uint64(j))
	a := make([]byte, ascii85.MaxEncodedLen(9))
	fmt.Println(string(a[:ascii85.Encode(a, j[:9])]))
	rows, err := csv.NewReader(strings.NewReader("a,\"b \"\"c\"\n1,2\n")).ReadAll()
	fmt.Println(rows, err)
	p, rest := pem.Decode([]byte("-----BEGIN X-----\nAAEC\n-----END X-----\n"))
	fmt.Println(p.Type, p.Bytes, len(rest))
	u, err := url.Parse("http://u@h:1/p%20q?a=b+c#f")
	fmt.Println(u.Path, u.Query(), u.Fragment, err)
	fmt.Println(netip.MustParsePrefix("10.1.2.3/8").Masked(), http.CanonicalHeaderKey("x-a-b"))
}

func texts() {
	re := regexp.MustCompile(`(\w+)@(\w+)\.org`)
	fmt.Println(re.ReplaceAllString("me@here.org, you@there.org", "$2:$1"))
	form := "{{range $i, $e := .}}{{$i}}={{printf \"%q\" $e}} {{end}}\n"
	t := template.Must(template.New("").Parse(form))
	var b bytes.Buffer
	t.Execute(&b, []string{"x", "y"})
	var s scanner.Scanner
	s.Init(strings.NewReader("a := 12.5 // c\n'x'"))
	for tok := s.Scan(); tok != scanner.EOF; tok = s.Scan() {
		fmt.Fprint(&b, s.Position, s.TokenText(), " ")
	}
	w := tabwriter.NewWriter(&b, 0, 8, 1, '.', 0)
	fmt.Fprint(w, "\na\tb\nccc\td\n")
	w.Flush()
	q := quotedprintable.NewWriter(&b)
	q.Write([]byte("ä=\n"))
	q.Close()
	m := multipart.NewWriter(&b)
	m.SetBoundary("x")
	m.WriteField("k", "v")
	lines := bufio.NewScanner(&b)
	for lines.Scan() {
		fmt.Println(strings.ToTitle(strings.TrimSpace(lines.Text())))
	}
}

func numbers() {
	f := new(big.Int).MulRange(1, 40)
	fmt.Println(f, new(big.Int).Exp(f, f, big.NewInt(1000003)), new(big.Rat).SetFrac64(6, 4))
	r := rand.New(rand.NewSource(1))
	n := sort.IntSlice(r.Perm(20))
	l := list.New()
	for _, x := range n {
		l.PushFront(x)
	}
	sort.Sort(n)
	h := byLength{"ccc", "a", "bb"}
	heap.Init(&h)
	fmt.Println(n, l.Front().Value, heap.Pop(&h), r.Float64())
}

type byLength []string

func (h byLength) Len() int            { return len(h) }
func (h byLength) Less(i, j int) bool  { return len(h[i]) < len(h[j]) }
func (h byLength) Swap(i, j int)       { h[i], h[j] = h[j], h[i] }
func (h *byLength) Push(x interface{}) { *h = append(*h, x.(string)) }
func (h *byLength) Pop() interface{} {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func main() {
	text := bytes.Repeat([]byte("Vier Jäger, 12 Zebras. "), 300)
	packings(text)
	hashes(text)
	encodings()
	texts()
	numbers()
}

// Output:
// gzip 7200 ce9dd454200f5bceac5a36b0a22d8bdce26bd87a
// zlib 7200 ce9dd454200f5bceac5a36b0a22d8bdce26bd87a
// flate 7200 ce9dd454200f5bceac5a36b0a22d8bdce26bd87a
// lzw 7200 ce9dd454200f5bceac5a36b0a22d8bdce26bd87a
// bzip2 unexpected EOF
// 042de75a852b25a3b42b55ebf33c2100
// dcae061a38514a5440056d9d81a887402d83a7cb842db9349e2a62bf07e400e0
// 98ca80d017c565e045c20cb84c6f07e3d682f14c4d40b719c7e6ddb939cbc4c2
// b8e69094 802bf1d8 100a9e60c0cbd873 b3570aa4be959575
// true
// a9f4e553c1e660b5fc8c80579c749e4a270c31f9
// {"from":"böse","sum":1e+21,"Tags":["a\u003cb","\t"]}
// <note><From>böse</From><Sum>1e+21</Sum><Tags>a&lt;b</Tags><Tags>&#x9;</Tags></note>
// eyJmcm9tIjoiYsO2c2UiLCJzdW0iOjFlKzIxLCJUYWdzIjpbImFcdTAwM2NiIiwiXHQiXX0= PMRGM4TPNURDUIQ=
// 7b2266726f6d223a22 4189030928836076155
// HQm'BDf$[Z+o
// [[a b "c] [1 2]] <nil>
// X [0 1 2] 0
// /p q map[a:[b c]] f <nil>
// 10.0.0.0/8 X-A-B
// here:me, there:you
// 0="X" 1="Y"
// <INPUT>:1:1A <INPUT>:1:3: <INPUT>:1:4= <INPUT>:1:612.5 <INPUT>:2:1'X'
// A...B
// CCC.D
// =C3=A4=3D
// --X
// CONTENT-DISPOSITION: FORM-DATA; NAME="K"
//
// V
// 815915283247897734345611269596115894272000000000 846874 3/2
// [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19] 3 a 0.20318687664732285
