// Package version knows which release a program is.
package version

// Version is set by the linker: see `ldflags` in services/storefront/BUILD.
var Version = "unknown"
