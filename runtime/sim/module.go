package sim

// Module is a parsed and validated PTX text, lowered and ready to be loaded on any Machine.
type Module struct {
	Version int    // 10·major + minor: 81 for .version 8.1
	Target  string // "sm_90a"

	sm        int // of the target
	accel     bool
	functions []*Function
	variables []*variable // module scope: .global, .const and .shared ones
	byName    map[string]*symbol
	sites     []int // lines of the instructions by site: what epochs name
}

// Entries lists the kernels in the order of the text.
func (m *Module) Entries() []*Function {
	var out []*Function
	for _, f := range m.functions {
		if f.Entry {
			out = append(out, f)
		}
	}
	return out
}

// Entry returns the kernel of that name, nil when there is none.
func (m *Module) Entry(name string) *Function {
	for _, f := range m.functions {
		if f.Entry && f.Name == name {
			return f
		}
	}
	return nil
}

// Function is a kernel (.entry) or a device function (.func).
type Function struct {
	Name   string
	Entry  bool
	Line   int
	Params []Param

	MaxThreads  [3]int // .maxntid; zero: not given
	ReqThreads  [3]int // .reqntid
	ReqCluster  [3]int // .reqnctapercluster
	MaxRegs     int    // .maxnreg
	MinCTAs     int    // .minnctapersm
	SharedBytes int    // statically declared, module scope included

	module    *Module
	returns   []Param
	defined   bool
	regs      []register
	code      []instruction
	locals    []*variable // .local, .shared and call-sequence .param variables of its body
	lists     map[string][]string
	paramSize int // of an activation's parameter frame: own parameters, results, call sequences
	localSize int

	steps      []step
	consts     []constant
	slots      int
	predicates int
	carry      int  // predicate slot of the condition code, 0: none
	async      bool // uses the async proxy: clocks need room for asynchronous agents
}

// Param is one parameter: its place in the parameter buffer of a launch.
type Param struct {
	Name   string
	Offset int // bytes
	Size   int
	Align  int
}

// ParamBytes is the size of a launch's parameter buffer.
func (f *Function) ParamBytes() int {
	if len(f.Params) == 0 {
		return 0
	}
	last := f.Params[len(f.Params)-1]
	return last.Offset + last.Size
}

type space uint8

const (
	spaceGeneric space = iota
	spaceGlobal
	spaceShared // the executing CTA's window
	spaceCluster
	spaceLocal
	spaceParam
	spaceConst
)

var spaceNames = [...]string{"generic", "global", "shared", "shared::cluster", "local", "param", "const"}

func (s space) String() string { return spaceNames[s] }

// A variable is memory with a name. Offset is within its space: the CTA's static shared memory, the thread's local
// frame, the activation's parameter frame, the module's constant bank; -1 for dynamic shared memory (.extern).
type variable struct {
	name   string
	space  space
	align  int
	size   int
	offset int
	init   []initializer
	extern bool
}

// An initializer puts a value, or the address of a symbol, into a variable.
type initializer struct {
	offset, size int
	value        uint64
	symbol       string
	generic      bool
}

type register struct {
	name string
	typ  dtype
	slot int
}

type symbol struct {
	variable *variable
	function *Function
}

type operandKind uint8

const (
	operandRegister operandKind = iota
	operandImmediate
	operandSpecial  // %tid.x …
	operandSymbol   // address of a variable or function
	operandMemory   // [base + offset], [base, {coordinates}], [base, register]
	operandVector   // {a, b, c}
	operandPair     // a|b
	operandLabel    // branch target, or any name the instruction gives meaning to
	operandSink     // _
	operandArgument // (a, b) of a call
)

type operand struct {
	kind   operandKind
	reg    int    // index into Function.regs
	bits   uint64 // immediate; a float's bits in width of its notation
	float  bool
	width  int    // of a float immediate: 32 or 64; 0 for integers
	negate bool   // !p, -x
	name   string // special register, symbol, label
	offset int64
	base   *operand
	list   []operand
	symbol *symbol
}

type instruction struct {
	line     int
	text     string
	guard    int // register index, -1: none
	negate   bool
	op       string   // first component of the opcode
	mods     []string // the others
	args     []operand
	form     *form
	types    []dtype // type modifiers, in order
	targets  []int   // branch targets as indices into code
	callee   *Function
	sequence []*variable // call: parameter variables passed, then result
}

func (in *instruction) has(mod string) bool {
	for _, m := range in.mods {
		if m == mod {
			return true
		}
	}
	return false
}

// one returns the first of the given modifiers that the instruction has, "" if none.
func (in *instruction) one(mods ...string) string {
	for _, m := range mods {
		if in.has(m) {
			return m
		}
	}
	return ""
}

// typ is the last type modifier: the type that the operation works in.
func (in *instruction) typ() dtype {
	if len(in.types) == 0 {
		return dtype{}
	}
	return in.types[len(in.types)-1]
}
