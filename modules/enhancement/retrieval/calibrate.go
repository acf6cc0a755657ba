package retrieval

import "math"

// Calibration is what the probability of one result is computed from.
type Calibration struct {
	Rank   float64 // the weighted sum of the ranking's second step
	Lead   float64 // how far the best result of this search is ahead of the tenth
	Length float64 // logarithm of the number of terms that the query was searched with
}

// calibration is a logistic regression on the first ten results of each dev query: `aiagents eval retrieval` prints the
// table that shows how well it holds, and refits it.
var calibration = struct{ base, rank, lead, length float64 }{-6, 0.6, 0, 0}

// leadOver is the place that the best result's lead is measured against.
const leadOver = 10

// calibrate sets the probabilities. Within one search they fall with the rank: what else they depend on is the search's.
func calibrate(ranked []Ranked, terms int) {
	if len(ranked) == 0 {
		return
	}
	lead := ranked[0].rank - ranked[min(len(ranked), leadOver)-1].rank
	for i := range ranked {
		e := Calibration{Rank: ranked[i].rank, Lead: lead, Length: math.Log(float64(max(terms, 1)))}
		ranked[i].Evidence, ranked[i].Probability = e, e.Probability()
	}
}

// Probability is the calibrated chance that a result with this evidence has the same cause.
func (e Calibration) Probability() float64 {
	c := calibration
	return 1 / (1 + math.Exp(-(c.base + c.rank*e.Rank + c.lead*e.Lead + c.length*e.Length)))
}
