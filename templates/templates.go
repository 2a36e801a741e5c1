// Package templates holds the files of a generated module that are text with a few blanks: what needs logic is
// emitted by gen, what is always the same belongs in the runtime.
package templates

import "embed"

// Files are text/template sources, named as the files that they become, with .tmpl behind.
//
//go:embed *.tmpl
var Files embed.FS
