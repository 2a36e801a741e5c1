package sim

// successors lists where control may go from instruction i; len(code) is the function's exit.
func (f *Function) successors(i int) []int {
	in := &f.code[i]
	var out []int
	switch in.op {
	case "bra", "brx":
		out = append(out, in.targets...)
	case "ret", "exit", "trap":
		out = append(out, len(f.code))
	default:
		return []int{i + 1}
	}
	if in.guard >= 0 {
		out = append(out, i+1)
	}
	return out
}

// postDominators gives for every branch the instruction where its sides meet again: the immediate post-dominator of its
// block, len(code) for the exit. Blocks that never reach the exit (endless loops) meet there too. The method is Cooper,
// Harvey and Kennedy's iteration on the reversed graph of basic blocks.
func (f *Function) postDominators() []int {
	n := len(f.code)
	starts, block := f.blocks()
	exit := len(starts)
	succ := make([][]int, exit)
	pred := make([][]int, exit+1)
	for b := range starts {
		end := n
		if b+1 < exit {
			end = starts[b+1]
		}
		for _, s := range f.successors(end - 1) {
			to := exit
			if s < n {
				to = block[s]
			}
			succ[b] = append(succ[b], to)
			pred[to] = append(pred[to], b)
		}
	}
	order := reversePostorder(pred, exit)
	number := make([]int, exit+1)
	for i := range number {
		number[i] = -1
	}
	for i, b := range order {
		number[b] = i
	}
	idom := make([]int, exit+1)
	for i := range idom {
		idom[i] = -1
	}
	idom[exit] = exit
	for changed := true; changed; {
		changed = false
		for _, b := range order[1:] {
			d := -1
			for _, s := range succ[b] {
				if number[s] < 0 || idom[s] < 0 {
					continue
				}
				if d < 0 {
					d = s
					continue
				}
				for s != d {
					for number[s] > number[d] {
						s = idom[s]
					}
					for number[d] > number[s] {
						d = idom[d]
					}
				}
			}
			if d != idom[b] {
				idom[b], changed = d, true
			}
		}
	}
	meet := make([]int, n)
	for i := range meet {
		meet[i] = n
		if d := idom[block[i]]; d >= 0 && d < exit {
			meet[i] = starts[d]
		}
	}
	return meet
}

// blocks splits the code; block gives each instruction's.
func (f *Function) blocks() (starts []int, block []int) {
	n := len(f.code)
	leader := make([]bool, n+1)
	leader[0] = true
	for i := range f.code {
		s := f.successors(i)
		if len(s) == 1 && s[0] == i+1 {
			continue
		}
		leader[i+1] = true
		for _, t := range s {
			leader[t] = true
		}
	}
	block = make([]int, n)
	for i := range n {
		if leader[i] {
			starts = append(starts, i)
		}
		block[i] = len(starts) - 1
	}
	return starts, block
}

// reversePostorder walks the reversed graph from the exit, without recursion.
func reversePostorder(pred [][]int, exit int) []int {
	type visit struct{ node, next int }
	seen := make([]bool, exit+1)
	seen[exit] = true
	stack := []visit{{exit, 0}}
	var post []int
	for len(stack) > 0 {
		v := &stack[len(stack)-1]
		if v.next < len(pred[v.node]) {
			p := pred[v.node][v.next]
			v.next++
			if !seen[p] {
				seen[p] = true
				stack = append(stack, visit{p, 0})
			}
			continue
		}
		post = append(post, v.node)
		stack = stack[:len(stack)-1]
	}
	for i, j := 0, len(post)-1; i < j; i, j = i+1, j-1 {
		post[i], post[j] = post[j], post[i]
	}
	return post
}
