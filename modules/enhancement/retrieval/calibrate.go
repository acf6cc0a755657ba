package retrieval

import "math"

// Calibration is what the probability of one result is computed from.
type Calibration struct {
	Rank   float64 // the weighted sum of the ranking's second step
	Crowd  float64 // logarithm of the sum of exp(rank) over all candidates: how many others are as good
	Length float64 // logarithm of the number of terms that the query was searched with
}

// calibration is a logistic regression on the first ten results of each dev query, half of the queries having no answer
// in the history. `aiagents eval retrieval` prints the table that shows how well it holds, and refits it. The ranking has become
// better since this fit, so it claims too little in the middle; a refit claimed too much at the top, which is worse.
var calibration = struct{ base, rank, crowd, length float64 }{-2.192, 1.005, -0.806, 0.079}

// background is the rank of an unrelated ticket. A history with fewer candidates than are asked for is filled up with it: to
// be the best of three says less than to be the best of a hundred.
const background = 1.0

// calibrate sets the probabilities. Within one search they fall with the rank: what else they depend on is the search's.
func calibrate(ranked []Ranked, terms int) {
	sum := float64(candidateLimit-min(candidateLimit, len(ranked))) * math.Exp(background)
	for _, r := range ranked {
		sum += math.Exp(r.rank)
	}
	for i := range ranked {
		e := Calibration{Rank: ranked[i].rank, Crowd: math.Log(sum), Length: math.Log(float64(max(terms, 1)))}
		ranked[i].Evidence, ranked[i].Probability = e, e.probability()
	}
}

func (e Calibration) probability() float64 {
	c := calibration
	return 1 / (1 + math.Exp(-(c.base + c.rank*e.Rank + c.crowd*e.Crowd + c.length*e.Length)))
}
