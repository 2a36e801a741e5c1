// Package moegen holds the sources that a generated module carries with it: the runtime and the third parties
// that the runtime imports. It only embeds; package gen picks what a target needs.
package moegen

import "embed"

// Sources has the runtime under runtime/ and third-party packages, with their licences, under vendor/.
//
//go:embed runtime/*/*.go runtime/*/*.s runtime/driver/nvidia/*.go runtime/driver/purego/*.go runtime/driver/sim/*.go runtime/sim/arith/*.go
//go:embed runtime/driver/cgo/*.go runtime/driver/cgo/*.c runtime/driver/cgo/*.h runtime/driver/cgo/libcuda.a
//go:embed vendor/modules.txt
//go:embed vendor/gorgonia.org/cu/*.go vendor/gorgonia.org/cu/*.c vendor/gorgonia.org/cu/*.h vendor/gorgonia.org/cu/LICENSE
//go:embed vendor/github.com/NVIDIA/go-nvml/LICENSE vendor/github.com/NVIDIA/go-nvml/pkg/dl/*.go
//go:embed vendor/github.com/NVIDIA/go-nvml/pkg/nvml/*.go vendor/github.com/NVIDIA/go-nvml/pkg/nvml/*.h
//go:embed vendor/github.com/google/uuid/*.go vendor/github.com/google/uuid/LICENSE
//go:embed vendor/github.com/pkg/errors/*.go vendor/github.com/pkg/errors/LICENSE
//go:embed vendor/github.com/ebitengine/purego/*.go vendor/github.com/ebitengine/purego/*.s vendor/github.com/ebitengine/purego/*.h
//go:embed vendor/github.com/ebitengine/purego/LICENSE vendor/github.com/ebitengine/purego/internal
//go:embed vendor/github.com/spf13/cobra/*.go vendor/github.com/spf13/cobra/LICENSE.txt
//go:embed vendor/github.com/spf13/pflag/*.go vendor/github.com/spf13/pflag/LICENSE
//go:embed vendor/golang.org/x/sys/LICENSE vendor/golang.org/x/sys/PATENTS
//go:embed vendor/golang.org/x/sys/cpu/*.go vendor/golang.org/x/sys/cpu/*.s
//go:embed vendor/golang.org/x/sys/unix/*.s vendor/golang.org/x/sys/unix/[a-y]*.go vendor/golang.org/x/sys/unix/z*_linux.go
//go:embed vendor/golang.org/x/sys/unix/z*_linux_amd64.go vendor/golang.org/x/sys/unix/z*_linux_arm64.go
var Sources embed.FS
