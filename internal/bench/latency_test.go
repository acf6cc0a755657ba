package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTimeOutsideIsCountedOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spans []span
		want  time.Duration
	}{
		"none":            {nil, 0},
		"one":             {[]span{{10, 20}}, 10},
		"two at once":     {[]span{{10, 30}, {15, 25}}, 20},
		"overlapping":     {[]span{{20, 40}, {10, 30}}, 30},
		"before and past": {[]span{{-50, 5}, {95, 200}}, 10},
		"beside it":       {[]span{{-50, -20}, {150, 200}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, busyTime(c.spans, 0, 100))
		})
	}
}
