package enhancement

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkStormComparison is what the look for siblings costs besides its query: as many texts as are ever compared.
func BenchmarkStormComparison(b *testing.B) {
	texts := make([]string, stormLooks)
	for i := range texts {
		texts[i] = strings.Repeat(fmt.Sprintf("printer %d on floor %d prints blank pages since the toner was changed ", i, i%7), 7)
	}
	own := wordSet(texts[0])
	b.ReportAllocs()
	for b.Loop() {
		for _, text := range texts {
			overlap(own, wordSet(text))
		}
	}
}
