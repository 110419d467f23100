// SPDX-License-Identifier: BSD-3-Clause

// Row http_json: round trips of JSON through net/http, server and clients in one process.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	jsonClients  = 8
	jsonRequests = 400 // of each client
	jsonItems    = 10  // of each order
)

type item struct {
	Name   string  `json:"name"`
	Amount int     `json:"amount"`
	Price  float64 `json:"price"`
}

type order struct {
	ID    int               `json:"id"`
	Buyer string            `json:"buyer"`
	Items []item            `json:"items"`
	Notes map[string]string `json:"notes"`
}

type bill struct {
	ID    int     `json:"id"`
	Items int     `json:"items"`
	Sum   float64 `json:"sum"`
}

func answerOrder(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b := bill{ID: o.ID}
	for _, it := range o.Items {
		b.Items += it.Amount
		b.Sum += float64(it.Amount) * it.Price
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(b)
}

func newOrder(id int) order {
	o := order{ID: id, Buyer: "somebody"}
	o.Notes = map[string]string{"door": "left", "bell": "no"}
	for i := 0; i < jsonItems; i++ {
		o.Items = append(o.Items, item{fmt.Sprintf("item %d", i), i + 1, 2.5})
	}
	return o
}

func placeOrder(c *http.Client, url string, id int) {
	text, err := json.Marshal(newOrder(id))
	check(err == nil, "http_json: no text")
	r, err := c.Post(url, "application/json", bytes.NewReader(text))
	check(err == nil, "http_json: no answer")
	var b bill
	err = json.NewDecoder(r.Body).Decode(&b)
	r.Body.Close()
	check(err == nil && b.ID == id && b.Items == jsonItems*(jsonItems+1)/2, "http_json: wrong")
}

func placeOrders(c *http.Client, url string, n int) {
	var wg sync.WaitGroup
	for k := 0; k < jsonClients; k++ {
		wg.Add(1)
		go func(k int) {
			defer wg.Done()
			for i := 0; i < n; i++ {
				placeOrder(c, url, k*n+i)
			}
		}(k)
	}
	wg.Wait()
}

func httpJSON(name string) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	check(err == nil, "no listener")
	go http.Serve(l, http.HandlerFunc(answerOrder))
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: jsonClients}}
	url := "http://" + l.Addr().String() + "/"
	placeOrders(c, url, jsonRequests/4)
	cpu, begun := cpuNow(), time.Now()
	placeOrders(c, url, jsonRequests)
	print(name, cpuNow()-cpu, int64(time.Since(begun)), jsonClients*jsonRequests, "")
}
