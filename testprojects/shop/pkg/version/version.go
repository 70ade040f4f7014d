// Package version holds the version that every service reports.
package version

// Version of the shop.
const Version = "1.0.0"
