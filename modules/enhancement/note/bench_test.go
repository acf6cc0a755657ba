package note

import "testing"

func BenchmarkRender(b *testing.B) {
	in := input()
	for b.Loop() {
		_, _ = Render(in)
	}
}
