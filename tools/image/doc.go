// Command image builds the container image of aiagents without a container daemon and without a registry: a base of our own
// (certificate authorities, an unprivileged user, two writable folders, nothing else), and on it the static binary that ko
// builds as .ko.yaml says, with its SBOM in SPDX.
//
// It writes an OCI layout, or pushes to a registry, and prints digest, sizes and SBOMs. The same commit gives the same digest:
// every time in the image is the commit's, and the base comes from modules that go.sum pins.
//
// It is a module of its own, so that ko stays out of the product's go.mod. image_test.go takes the image apart and runs it.
package main
