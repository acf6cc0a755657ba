// Package apiserver applies the chart to a real Kubernetes API server: kube-apiserver and etcd, built from their Go modules and
// run in this process on the loopback interface. charts/tests proves what can be known without one; here the server's own
// defaulting, validation and admission judge, Pod Security "restricted" among them. There are no controllers and no nodes, so
// nothing is ever scheduled.
//
// It applies the golden files of charts/tests, which a test there keeps equal to what Helm renders. Building it takes about nine
// minutes of CPU time once, so it is no part of CI: `task chart:apply`.
package apiserver
