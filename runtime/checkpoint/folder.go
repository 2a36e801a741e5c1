package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// incomplete is the suffix of a folder that is being written. The folder is hidden and locked by its process,
// so that one whose process died can be told from one that is in use.
const incomplete = ".moegen-incomplete"

// publish lets write fill a temporary folder beside dir, makes it durable and gives it its name.
func publish(dir string, write func(temporary string) error) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(dir); err == nil {
		return fmt.Errorf("%s exists already and is not overwritten; choose another name or remove it", dir)
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return err
	}
	temporary := filepath.Join(parent, "."+filepath.Base(dir)+incomplete)
	lock, err := begin(parent, temporary)
	if err != nil {
		return err
	}
	defer lock.Close()
	err = write(temporary)
	if err == nil {
		err = syncDirs(temporary)
	}
	if err == nil {
		err = os.Rename(temporary, dir)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(temporary))
	}
	return syncDir(parent)
}

// begin removes what dead processes left in the folder parent, makes the folder temporary and locks it. The lock
// on parent keeps another process from taking the new folder for an abandoned one before it is locked.
func begin(parent, temporary string) (*os.File, error) {
	gate, err := os.Open(parent)
	if err != nil {
		return nil, err
	}
	defer gate.Close()
	if syscall.Flock(int(gate.Fd()), syscall.LOCK_EX) == nil {
		if err := sweep(parent); err != nil {
			return nil, err
		}
	} // else the file system has no locks: nothing can be known to be abandoned
	if err := os.Mkdir(temporary, 0o777); errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s is being written by another process; if there is none, remove it", temporary)
	} else if err != nil {
		return nil, err
	}
	lock, err := os.Open(temporary)
	if err != nil {
		return nil, err
	}
	syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) // fails only where locks do not exist
	return lock, nil
}

// sweep removes the temporary folders in parent that no living process holds.
func sweep(parent string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), ".") || !strings.HasSuffix(e.Name(), incomplete) {
			continue
		}
		path := filepath.Join(parent, e.Name())
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			err = os.RemoveAll(path)
		}
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// syncDirs makes the names in a folder and its subfolders durable.
func syncDirs(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = syncDir(path)
		}
		return err
	})
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// file is a file that is carried over into new checkpoints.
type file struct {
	name string // path inside the folder
	data io.ReaderAt
	size int64
}

// weightSuffixes mark files that hold weights, in this or another format. They are not carried over: they
// would be the old ones.
var weightSuffixes = []string{
	".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".pt", ".pth", ".ckpt", ".gguf", ".h5",
	".msgpack", ".onnx", ".nemo",
}

// templates is the one subfolder that belongs to a checkpoint. Others are somebody's: runs, other formats.
const templates = "additional_chat_templates"

// openFiles opens the files of the subfolder sub ("" for none) of a checkpoint folder, in the order of their
// names. Hidden files and weights are left out; links are followed, as caches are made of links.
func openFiles(root, sub string) ([]file, error) {
	entries, err := os.ReadDir(filepath.Join(root, sub))
	if err != nil {
		return nil, err
	}
	var files []file
	for _, e := range entries {
		var found []file
		var err error
		name := filepath.Join(sub, e.Name())
		switch {
		case e.IsDir() && name == templates:
			found, err = openFiles(root, name)
		case !e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !isWeights(name):
			found, err = openFile(root, name)
		}
		files = append(files, found...)
		if err != nil {
			return files, err
		}
	}
	return files, nil
}

// openFile opens a file, unless it is not a regular one.
func openFile(root, name string) ([]file, error) {
	f, err := os.Open(filepath.Join(root, name))
	if err != nil {
		return nil, err
	}
	stat, err := f.Stat()
	if err != nil || !stat.Mode().IsRegular() {
		f.Close()
		return nil, err
	}
	return []file{{name, f, stat.Size()}}, nil
}

func isWeights(name string) bool {
	for _, suffix := range weightSuffixes {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// fileList is the form of files in memory.
func fileList(files []File) []file {
	var list []file
	for _, f := range files {
		list = append(list, file{f.Name, bytes.NewReader(f.Data), int64(len(f.Data))})
	}
	return list
}

func closeFiles(files []file) {
	for _, f := range files {
		if c, ok := f.data.(io.Closer); ok {
			c.Close()
		}
	}
}

// writeFiles writes files into a folder and makes them durable.
func writeFiles(dir string, files []file) error {
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, io.NewSectionReader(f.data, 0, f.size))
		if err == nil {
			err = out.Sync()
		}
		if err = errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
	return nil
}
