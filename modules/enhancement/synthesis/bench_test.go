package synthesis

import (
	"strings"
	"testing"

	"aiagents/modules/enhancement/evidence"
)

// BenchmarkPrompt is what the product adds to the model's own time, on a bundle as large as the contract allows.
func BenchmarkPrompt(b *testing.B) {
	bundle := exchangeBundle()
	bundle.Ticket.Description = strings.Repeat("The mailbox of a user on hc-ex-02 (10.2.3.4) is full since 07:40. ", 150)
	for range 4 {
		s := bundle.Similar[0]
		s.Resolution = strings.Repeat(s.Resolution+" ", 200)
		bundle.Similar = append(bundle.Similar, s)
	}
	for b.Loop() {
		clean, _ := evidence.Clean(bundle)
		buildPrompt(clean, newPseudonyms(clean, false, false), Options{}, 6000, false, "")
		newGround(clean, nil)
	}
}

// BenchmarkGround is the check of one answer's sentences against the evidence.
func BenchmarkGround(b *testing.B) {
	clean, _ := evidence.Clean(exchangeBundle())
	sentences := []string{
		"The mailbox on hc-ex-02 is full since 07:40.", "Check the quota of the mailbox in the admin centre.",
		"Tell the user that mail is not lost and call back in the afternoon.", "Move items older than two years into the archive.",
	}
	b.ReportAllocs()
	for b.Loop() {
		g := newGround(clean, nil)
		for _, s := range sentences {
			g.fault(s)
		}
	}
}
