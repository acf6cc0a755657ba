package tests

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
)

func newTLSServer() *httptest.Server { return httptest.NewTLSServer(http.NotFoundHandler()) }

func pemOf(s *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}
