package retrieval

import (
	"strconv"
	"strings"
)

// ticketNumber is a ticket id taken apart: service desks count their tickets, so the number is a clock that every history
// has, even one without dates.
type ticketNumber struct {
	series string
	number float64
	ok     bool
}

// numberOf reads the digits at the end of an id; what is before them names the series ("INC-", "hadoop:HDFS-").
func numberOf(ticketID string) ticketNumber {
	series := strings.TrimRight(ticketID, "0123456789")
	n, err := strconv.ParseFloat(ticketID[len(series):], 64)
	return ticketNumber{series: series, number: n, ok: err == nil}
}

// distance is only known within one series.
func (n ticketNumber) distance(other ticketNumber) (float64, bool) {
	if !n.ok || !other.ok || n.series != other.series {
		return 0, false
	}
	return max(n.number-other.number, other.number-n.number), true
}
