// Package e2e tests the real binary with the real workerd, driven by the real
// wrangler, each test on free ports and in a directory of its own.
//
// Long counts (rounds of crashes, deploys under load) run a tenth by default
// and in full with SELVAGE_TEST_FULL=1, which "make crash" sets. The seed of
// what is random is printed and can be given back in SELVAGE_TEST_SEED.
package e2e
