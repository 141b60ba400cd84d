// Checks one log of an export with Go's sumdb/note and tlog, which know nothing of Sallyport:
//
//	audit_verify VKEY_FILE LOG_FOLDER
//
// The checkpoint is a signed note of that key, the records give its root, every tile is the one that the tree has, and each
// record has an inclusion proof and the first half a consistency proof that tlog accepts.
package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type hashes []tlog.Hash

func (h *hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if at < 0 || at >= int64(len(*h)) {
			return nil, fmt.Errorf("no hash %d", at)
		}
		out[i] = (*h)[at]
	}
	return out, nil
}

func need(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "audit_verify: %s: %v\n", what, err)
		os.Exit(9)
	}
}

func want(ok bool, what string) {
	if !ok {
		need(fmt.Errorf("does not hold"), what)
	}
}

func openCheckpoint(keyFile, file, folder string) (int64, tlog.Hash) {
	keys, err := os.ReadFile(keyFile)
	need(err, "vkey")
	var verifiers []note.Verifier
	for _, line := range strings.Fields(string(keys)) {
		v, err := note.NewVerifier(line)
		need(err, "vkey")
		verifiers = append(verifiers, v)
	}
	message, err := os.ReadFile(file)
	need(err, "checkpoint")
	n, err := note.Open(message, note.VerifierList(verifiers...))
	need(err, "checkpoint")
	lines := strings.Split(n.Text, "\n")
	want(len(lines) == 4 && lines[3] == "", "checkpoint's form")
	want(strings.HasSuffix(lines[0], "/"+folder), "checkpoint's origin")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	need(err, "checkpoint's size")
	root, err := base64.StdEncoding.DecodeString(lines[2])
	need(err, "checkpoint's root")
	want(len(root) == tlog.HashSize, "checkpoint's root")
	return size, tlog.Hash(*(*[tlog.HashSize]byte)(root))
}

func main() {
	want(len(os.Args) == 3, "usage: audit_verify VKEY_FILE LOG_FOLDER")
	folder := os.Args[2]
	size, root := openCheckpoint(os.Args[1], filepath.Join(folder, "checkpoint"), filepath.Base(folder))
	all, err := os.ReadFile(filepath.Join(folder, "records.jsonl"))
	need(err, "records")
	records := bytes.SplitAfter(all, []byte("\n"))
	want(len(records[len(records)-1]) == 0, "the last record's end")
	records = records[:len(records)-1]
	want(int64(len(records)) == size, "as many records as the checkpoint says")
	var stored hashes
	for i, r := range records {
		more, err := tlog.StoredHashes(int64(i), bytes.TrimSuffix(r, []byte("\n")), &stored)
		need(err, "hash")
		stored = append(stored, more...)
	}
	have, err := tlog.TreeHash(size, &stored)
	need(err, "tree")
	want(have == root, "the records give the checkpoint's root")
	tiles := tlog.NewTiles(8, 0, size)
	for i, t := range tiles {
		// older versions of tlog list a partial tile in each width up to its own
		if i+1 < len(tiles) && tiles[i+1].L == t.L && tiles[i+1].N == t.N {
			continue
		}
		data, err := tlog.ReadTileData(t, &stored)
		need(err, "tile")
		path := strings.Replace(t.Path(), "tile/8/", "tile/", 1)
		file, err := os.ReadFile(filepath.Join(folder, path))
		need(err, path)
		want(bytes.Equal(data, file), path)
	}
	for i := int64(0); i < size; i += 1 + size/50 {
		proof, err := tlog.ProveRecord(size, i, &stored)
		need(err, "proof")
		need(tlog.CheckRecord(proof, size, root, i, tlog.RecordHash(bytes.TrimSuffix(records[i], []byte("\n")))), "proof")
	}
	fmt.Printf("audit_verify: %s: %d records, root %s\n", filepath.Base(folder), size, root)
}
