// Package tests proves the Helm chart without a cluster: it renders charts/aiagents with Helm's own library over a matrix of
// values, decodes every object strictly into its Kubernetes type, follows each reference from one object to another, and
// starts the real program with the variables and files that a pod would get.
//
// It is a module of its own, so that Helm and Kubernetes stay out of the product's go.mod. It holds nothing but tests.
package tests
