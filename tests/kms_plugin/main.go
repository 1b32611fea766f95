// A KMS v2 plugin for the tests: its "KMS" is a key in a file, which an operator's would never be.
package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log"
	"os"
	"time"

	"k8s.io/kms/pkg/service"
)

const callTimeout = 10 * time.Second

type fileKey struct {
	id   string
	aead cipher.AEAD
}

func readKey(path string) (*fileKey, error) {
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(key)
	return &fileKey{id: hex.EncodeToString(sum[:8]), aead: aead}, nil
}

func (k *fileKey) Status(context.Context) (*service.StatusResponse, error) {
	return &service.StatusResponse{Version: "v2", Healthz: "ok", KeyID: k.id}, nil
}

func (k *fileKey) Encrypt(_ context.Context, _ string, plain []byte) (*service.EncryptResponse, error) {
	return &service.EncryptResponse{Ciphertext: k.aead.Seal(nil, nil, plain, nil), KeyID: k.id}, nil
}

func (k *fileKey) Decrypt(_ context.Context, _ string, asked *service.DecryptRequest) ([]byte, error) {
	if asked.KeyID != k.id {
		return nil, fmt.Errorf("key %s is not here", asked.KeyID)
	}
	return k.aead.Open(nil, nil, asked.Ciphertext, nil)
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: kms-plugin KEY-FILE SOCKET")
	}
	key, err := readKey(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(service.NewGRPCService(os.Args[2], callTimeout, key).ListenAndServe())
}
