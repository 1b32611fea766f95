// Command web is the demo workload: it shows that a pod got its greeting, its secret and its node.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

const secretFile = "/secrets/message"

// longest bounds a challenge, so that nobody has the workload sign a document.
const longest = 64

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /{$}", show)
	server := &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

// show answers with a digest instead of the secret, so that a check from outside can compare without learning it.
// To a challenge it adds a proof, which no cache and no replay can have.
func show(w http.ResponseWriter, r *http.Request) {
	secret, err := os.ReadFile(secretFile)
	if err != nil {
		http.Error(w, "secret not readable: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintf(w, "greeting=%s\nsecret=%x\nnode=%s\n", os.Getenv("GREETING"), sha256.Sum256(secret), os.Getenv("NODE_NAME"))
	if challenge := r.URL.Query().Get("challenge"); challenge != "" && len(challenge) <= longest {
		proof := hmac.New(sha256.New, secret)
		proof.Write([]byte(challenge))
		fmt.Fprintf(w, "proof=%x\n", proof.Sum(nil))
	}
}
