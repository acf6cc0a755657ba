package eval

import (
	"math"

	"aiagents/modules/enhancement/retrieval"
)

// calibratedResults is how many results of each query the calibration is judged by: what a note could show.
const calibratedResults = 10

// CalibrationTable says how far the probabilities can be believed.
type CalibrationTable struct {
	Bins []Bin `json:"bins"`
	// Brier is the mean squared error of the probabilities; BaseBrier that of always saying the base rate.
	Brier     float64 `json:"brier"`
	BaseBrier float64 `json:"base_brier"`
	// ECE is the expected calibration error: the mean gap between predicted and observed, weighted by bin.
	ECE float64 `json:"ece"`
	// Refit are the coefficients that a logistic regression finds on this data: base, rank, crowd, length.
	Refit [4]float64 `json:"refit"`
}

// Bin gathers results of similar probability.
type Bin struct {
	From      float64 `json:"from"`
	To        float64 `json:"to"`
	Results   int     `json:"results"`
	Predicted float64 `json:"predicted"`
	Observed  float64 `json:"observed"`
}

// judged is one result with its label.
type judged struct {
	evidence    retrieval.Calibration
	probability float64
	relevant    bool
}

var binEdges = []float64{0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0000001}

func calibration(results []judged) CalibrationTable {
	table := CalibrationTable{Bins: make([]Bin, len(binEdges)-1)}
	if len(results) == 0 {
		return table
	}
	base := 0.0
	for _, r := range results {
		base += value(r.relevant) / float64(len(results))
	}
	for i := range table.Bins {
		bin := &table.Bins[i]
		bin.From, bin.To = binEdges[i], math.Min(1, binEdges[i+1])
		for _, r := range results {
			if r.probability >= binEdges[i] && r.probability < binEdges[i+1] {
				bin.Results++
				bin.Predicted += r.probability
				bin.Observed += value(r.relevant)
			}
		}
		table.ECE += math.Abs(bin.Predicted-bin.Observed) / float64(len(results))
		if bin.Results > 0 {
			bin.Predicted /= float64(bin.Results)
			bin.Observed /= float64(bin.Results)
		}
	}
	for _, r := range results {
		table.Brier += math.Pow(r.probability-value(r.relevant), 2) / float64(len(results))
		table.BaseBrier += math.Pow(base-value(r.relevant), 2) / float64(len(results))
	}
	table.Refit = fit(results)
	return table
}

// fit is a logistic regression by Newton's method; five coefficients' worth of data makes it converge in a few steps.
func fit(results []judged) [4]float64 {
	var w [4]float64
	for range 25 {
		var gradient [4]float64
		var hessian [4][4]float64
		for _, r := range results {
			x := [4]float64{1, r.evidence.Rank, r.evidence.Crowd, r.evidence.Length}
			z := 0.0
			for i := range w {
				z += w[i] * x[i]
			}
			p := 1 / (1 + math.Exp(-z))
			for i := range w {
				gradient[i] += (value(r.relevant) - p) * x[i]
				for j := range w {
					hessian[i][j] += p * (1 - p) * x[i] * x[j]
				}
			}
		}
		for i := range w {
			hessian[i][i] += 1e-3 // a touch of ridge keeps a degenerate set solvable
			gradient[i] -= 1e-3 * w[i]
		}
		step := solve(hessian, gradient)
		for i := range w {
			w[i] += step[i]
		}
	}
	return w
}

// solve is Gaussian elimination of a positive definite system.
func solve(a [4][4]float64, b [4]float64) [4]float64 {
	for i := range b {
		for j := i + 1; j < len(b); j++ {
			factor := a[j][i] / a[i][i]
			for k := i; k < len(b); k++ {
				a[j][k] -= factor * a[i][k]
			}
			b[j] -= factor * b[i]
		}
	}
	for i := len(b) - 1; i >= 0; i-- {
		for k := i + 1; k < len(b); k++ {
			b[i] -= a[i][k] * b[k]
		}
		b[i] /= a[i][i]
	}
	return b
}

func value(relevant bool) float64 {
	if relevant {
		return 1
	}
	return 0
}
