// Command program reaches the point k4 three times and says each time that it lived on.
package main

import "aiagents/internal/crashpoint"

func main() {
	for range 3 {
		crashpoint.Reach("k4")
		print("passed ")
	}
}
