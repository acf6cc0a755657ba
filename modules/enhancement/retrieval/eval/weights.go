package eval

import (
	"cmp"
	"math"
)

func (w weightSet) dot(o weightSet) float64 {
	sum := 0.0
	for i := range w {
		sum += w[i] * o[i]
	}
	return sum
}

func (w weightSet) masked(uses weightSet) weightSet {
	for i := range w {
		w[i] *= uses[i]
	}
	return w
}

func compareDescending(a, b float64) int { return cmp.Compare(b, a) }

// fitWeights finds weights that put relevant candidates first: the likelihood of each query's relevant candidates under a
// softmax over all of them, maximised by gradient steps that adapt to each weight (Adam). The steps and their number are
// fixed, so the same data gives the same weights.
func fitWeights(queries []judgedQuery, uses weightSet) weightSet {
	const (
		steps, rate, ridge   = 60, 0.6, 1e-4
		momentum, adaptation = 0.9, 0.99
	)
	w := weightSet{10}
	var mean, square weightSet
	for step := 1.0; step <= steps; step++ {
		gradient := gradientOf(queries, w)
		for i := range w {
			g := (gradient[i] - ridge*w[i]) * uses[i]
			mean[i] = momentum*mean[i] + (1-momentum)*g
			square[i] = adaptation*square[i] + (1-adaptation)*g*g
			w[i] += rate * mean[i] / (1 - math.Pow(momentum, step)) / (math.Sqrt(square[i]/(1-math.Pow(adaptation, step))) + 1e-9)
		}
	}
	return w
}

// gradientOf is that of the mean log-likelihood. Queries whose answers are not among the candidates say nothing.
func gradientOf(queries []judgedQuery, w weightSet) (gradient weightSet) {
	for _, q := range queries {
		relevant, top := 0.0, math.Inf(-1)
		shares := make([]float64, len(q.candidates))
		for i, c := range q.candidates {
			shares[i] = w.dot(c.features)
			top = max(top, shares[i])
			relevant += value(c.relevant)
		}
		if relevant == 0 {
			continue
		}
		sum := 0.0
		for i := range shares {
			shares[i] = math.Exp(shares[i] - top)
			sum += shares[i]
		}
		for i, c := range q.candidates {
			gap := (value(c.relevant)/relevant - shares[i]/sum) / float64(len(queries))
			for j := range gradient {
				gradient[j] += gap * c.features[j]
			}
		}
	}
	return gradient
}
