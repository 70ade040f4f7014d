//go:build !windows

package main

const lineEnd = "\n"
