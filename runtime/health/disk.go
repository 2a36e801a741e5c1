package health

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Disk is the disk of a folder, as checkpoints find it.
type Disk struct {
	Folder              string `json:"folder"`
	FreeBytes           int64  `json:"free_bytes"` // for this user
	TriedBytes          int64  `json:"tried_bytes"`
	WriteBytesPerSecond int64  `json:"write_bytes_per_second,omitempty"` // until the disk has it
	ReadBytesPerSecond  int64  `json:"read_bytes_per_second,omitempty"`  // past the memory that caches files, where it can be passed
	Direct              bool   `json:"direct"`                           // whether it was
	Problem             string `json:"problem,omitempty"`                // why it was not tried out
}

// How much is written and read to try a disk out, in pieces of how much, and for how long at most each.
const (
	tryBytes   = 256 << 20
	pieceBytes = 8 << 20
	tryTime    = 4 * time.Second
)

// tryDisk measures writing and reading of a file in a folder. The file has no name from the start, so that nothing is
// left behind whatever happens. Of a nearly full disk no more than a quarter of what is free is taken.
func tryDisk(folder string) Disk {
	if full, err := filepath.Abs(folder); err == nil {
		folder = full
	}
	d := Disk{Folder: folder}
	var fs unix.Statfs_t
	if err := unix.Statfs(folder, &fs); err != nil {
		d.Problem = reason(err)
		return d
	}
	d.FreeBytes = int64(fs.Bavail) * fs.Bsize
	pieces := min(tryBytes, d.FreeBytes/4) / pieceBytes
	if pieces == 0 {
		d.Problem = "there is no room"
		return d
	}
	if err := d.try(pieces); err != nil {
		d.Problem = reason(err)
	}
	return d
}

// reason is what an error of a file is about, without the file.
func reason(err error) string {
	if path := (*os.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	return err.Error()
}

// try writes and reads so many pieces, or as many as there is time for.
func (d *Disk) try(pieces int64) error {
	file, err := os.CreateTemp(d.Folder, ".doctor-*")
	if err != nil {
		return err
	}
	defer file.Close()
	if err := os.Remove(file.Name()); err != nil {
		return err
	}
	flags, err := unix.FcntlInt(file.Fd(), unix.F_GETFL, 0)
	if err == nil {
		_, err = unix.FcntlInt(file.Fd(), unix.F_SETFL, flags|unix.O_DIRECT)
	}
	d.Direct = err == nil // file systems in memory have nothing to pass
	piece := alignedPiece()
	if _, err := rand.Read(piece); err != nil { // zeros would be no work for a disk that compresses
		return err
	}
	begin := time.Now()
	for d.TriedBytes < pieces*pieceBytes && time.Since(begin) < tryTime {
		if _, err := file.WriteAt(piece, d.TriedBytes); err != nil {
			return fmt.Errorf("writing: %s", reason(err))
		}
		d.TriedBytes += pieceBytes
	}
	if err := file.Sync(); err != nil {
		return err
	}
	d.WriteBytesPerSecond = perSecond(d.TriedBytes, begin)
	unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED) // for file systems that take no O_DIRECT: a hint
	begin = time.Now()
	var read int64
	for ; read < d.TriedBytes && time.Since(begin) < tryTime; read += pieceBytes {
		if _, err := file.ReadAt(piece, read); err != nil {
			return fmt.Errorf("reading: %s", reason(err))
		}
	}
	d.ReadBytesPerSecond = perSecond(read, begin)
	return nil
}

// alignedPiece returns a buffer that begins at a multiple of 4096 bytes, as O_DIRECT asks for.
func alignedPiece() []byte {
	const align = 4096
	b := make([]byte, pieceBytes+align)
	skip := -uintptr(unsafe.Pointer(&b[0])) % align
	return b[skip : skip+pieceBytes]
}

// perSecond is the speed of so many bytes since a time.
func perSecond(n int64, begin time.Time) int64 {
	return int64(float64(n) / max(time.Since(begin).Seconds(), 1e-9))
}
