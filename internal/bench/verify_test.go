package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAMeasurementIsVoidUnlessEvery202IsOneNote(t *testing.T) {
	t.Parallel()
	sent := &load{statuses: map[int]int{202: 2, 0: 1}, accepted: []acceptance{{ticket: 1, job: "a"}, {ticket: 2, job: "b"}}}
	for name, c := range map[string]struct {
		seen map[int]outside
		ok   bool
	}{
		"one each":                         {map[int]outside{1: {Notes: 1}, 2: {Notes: 1}}, true},
		"one more for an unknown answer":   {map[int]outside{1: {Notes: 1}, 2: {Notes: 1}, 3: {Notes: 1}}, true},
		"one is missing":                   {map[int]outside{1: {Notes: 1}}, false},
		"one ticket has two":               {map[int]outside{1: {Notes: 1}, 2: {Notes: 2}}, false},
		"more strays than unknown answers": {map[int]outside{1: {Notes: 1}, 2: {Notes: 1}, 3: {Notes: 1}, 4: {Notes: 1}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sims := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_ = json.NewEncoder(w).Encode(c.seen)
			}))
			t.Cleanup(sims.Close)
			s := &stage{sims: &remote{addresses: addresses{Control: sims.URL}}, out: io.Discard}
			_, err := s.verify(t.Context(), sent)
			if c.ok {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, errInvalid)
			}
		})
	}
}
