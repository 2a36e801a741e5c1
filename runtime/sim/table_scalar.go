package sim

// Integers, logic, comparisons, moves, control flow.
const scalarForms = `
add {s16,u16,s64,u64,u32,s32} | d s s
add sat s32 | d s s
add {u16x2,s16x2} | d s s | 8.0 sm_90
add cc? {u32,s32} | d s s
add cc {u64,s64} | d s s | 4.3
sub $int | d s s
sub sat s32 | d s s
sub cc {u32,s32,u64,s64} | d s s
addc cc? {u32,s32,u64,s64} | d s s
subc cc? {u32,s32,u64,s64} | d s s
mul {lo,hi} $int | d s s
mul wide {s16,u16,s32,u32} | dw s s
mul24 {lo,hi} {s32,u32} | d s s
mad {lo,hi} $int | d s s s
mad hi sat s32 | d s s s
mad wide {s16,u16,s32,u32} | dw s s sw
mad24 {lo,hi} {s32,u32} | d s s s
mad24 hi sat s32 | d s s s
mad {lo,hi} cc {s32,u32,s64,u64} | d s s s
madc {lo,hi} cc? {s32,u32,s64,u64} | d s s s
sad $int | d s s s
div $int | d s s
rem $int | d s s
abs {s16,s32,s64} | d s
neg {s16,s32,s64} | d s
min $int | d s s
max $int | d s s
min {u16x2,s16x2} | d s s | 8.0 sm_90
max {u16x2,s16x2} | d s s | 8.0 sm_90
min relu {s16x2,s32} | d s s | 8.0 sm_90
max relu {s16x2,s32} | d s s | 8.0 sm_90
popc {b32,b64} | d:u32 s
clz {b32,b64} | d:u32 s
bfind shiftamt? {u32,u64,s32,s64} | d:u32 s
fns b32 | d s:b32 s:b32 s:s32 | 6.0
brev {b32,b64} | d s
bfe {u32,u64,s32,s64} | d s s:u32 s:u32
bfi {b32,b64} | d s s s:u32 s:u32
bmsk {clamp,wrap} b32 | d s s:u32 | 7.6
szext {clamp,wrap} {u32,s32} | d s s:u32 | 7.6
dp4a {s32,u32} {s32,u32} | d:b32 s:b32 s:b32 s:b32 | 5.0 sm_61
dp2a {lo,hi} {s32,u32} {s32,u32} | d:b32 s:b32 s:b32 s:b32 | 5.0 sm_61
and {pred,b16,b32,b64} | d s s
or {pred,b16,b32,b64} | d s s
xor {pred,b16,b32,b64} | d s s
not {pred,b16,b32,b64} | d s
cnot $bits | d s
lop3 b32 | d s s s i | 4.3
shl $bits | d s s:u32
shr {b16,b32,b64,u16,u32,u64,s16,s32,s64} | d s s:u32
shf {l,r} {clamp,wrap} b32 | d s s s:u32
prmt b32 {f4e,b4e,rc8,ecl,ecr,rc16}? | d s s s
set $cmp ftz? {u32,s32,f32} {b16,b32,b64,u16,u32,u64,s16,s32,s64,f32,f64} | d1 s2 s2
set $cmp $bool ftz? {u32,s32,f32} {b16,b32,b64,u16,u32,u64,s16,s32,s64,f32,f64} | d1 s2 s2 s:pred
setp $cmp ftz? {b16,b32,b64,u16,u32,u64,s16,s32,s64,f32,f64} | dd s s
setp $cmp $bool ftz? {b16,b32,b64,u16,u32,u64,s16,s32,s64,f32,f64} | dd s s s:pred
setp $cmp ftz? {f16,bf16} | dd s s | 6.5
setp $cmp ftz? {f16x2,bf16x2} | dd s s | 6.5
setp $cmp $bool ftz? {f16,bf16,f16x2,bf16x2} | dd s s s:pred | 6.5
selp {b16,b32,b64,u16,u32,u64,s16,s32,s64,f32,f64} | d s s s:pred
slct ftz? {b16,b32,b64,u16,u32,u64,s16,s32,s64,f32,f64} {s32,f32} | d1 s1 s1 s2
mov {pred,b16,b32,b64,u16,u32,u64,s16,s32,s64,f32,f64} | dmov smov
cvta {global,shared,shared::cta,shared::cluster,local,const} u64 | d s
cvta param u64 | d s | 7.7
cvta to {global,shared,shared::cta,shared::cluster,local,const} u64 | d s
cvta to param u64 | d s | 7.7
isspacep {global,shared,shared::cta,shared::cluster,local,const,param} | d:pred s:u64
bra uni? | l
brx idx uni? | s:u32 l
call uni? | call
ret uni? |
exit |
trap |
brkpt |
nanosleep u32 | s | 6.3
pmevent | i
pmevent mask | i
alloca u64 | d s:u64 i? | 7.3
stacksave u64 | d | 7.3
stackrestore u64 | s | 7.3
cvt $cvt $cvt | d1+ s2+
cvt sat $cvt $cvt | d1+ s2+
`

// Floating point: arithmetic, comparisons, conversions, special functions.
const floatForms = `
add $rnd? ftz? sat? f32 | d s s
add rn? f64 | d s s
add rn? ftz? sat? {f16,f16x2} | d s s | 4.2
add rn? {bf16,bf16x2} | d s s | 7.8 sm_90
sub $rnd? ftz? sat? f32 | d s s
sub rn? f64 | d s s
sub rn? ftz? sat? {f16,f16x2} | d s s | 4.2
sub rn? {bf16,bf16x2} | d s s | 7.8 sm_90
mul $rnd? ftz? sat? f32 | d s s
mul rn? f64 | d s s
mul rn? ftz? sat? {f16,f16x2} | d s s | 4.2
mul rn? {bf16,bf16x2} | d s s | 7.8 sm_90
mad $rnd ftz? sat? f32 | d s s s
mad rn f64 | d s s s
fma $rnd ftz? sat? f32 | d s s s
fma rn f64 | d s s s
fma rn ftz? {sat,relu}? {f16,f16x2} | d s s s | 4.2
fma rn relu? {bf16,bf16x2} | d s s s | 7.0 sm_80
div $rnd ftz? f32 | d s s
div {approx,full} ftz? f32 | d s s
div rn f64 | d s s
abs ftz? f32 | d s
abs f64 | d s
abs ftz? {f16,f16x2} | d s | 6.5
abs {bf16,bf16x2} | d s | 7.0 sm_80
neg ftz? f32 | d s
neg f64 | d s
neg ftz? {f16,f16x2} | d s | 6.0
neg {bf16,bf16x2} | d s | 7.0 sm_80
min ftz? NaN? xorsign? abs? f32 | d s s
max ftz? NaN? xorsign? abs? f32 | d s s
min f64 | d s s
max f64 | d s s
min ftz? NaN? xorsign? abs? {f16,f16x2} | d s s | 7.0 sm_80
max ftz? NaN? xorsign? abs? {f16,f16x2} | d s s | 7.0 sm_80
min NaN? xorsign? abs? {bf16,bf16x2} | d s s | 7.0 sm_80
max NaN? xorsign? abs? {bf16,bf16x2} | d s s | 7.0 sm_80
rcp $rnd ftz? f32 | d s
rcp approx ftz? f32 | d s
rcp rn f64 | d s
sqrt $rnd ftz? f32 | d s
sqrt approx ftz? f32 | d s
sqrt rn f64 | d s
rsqrt approx ftz? f32 | d s
sin approx ftz? f32 | d s
cos approx ftz? f32 | d s
lg2 approx ftz? f32 | d s
ex2 approx ftz? f32 | d s
ex2 approx f16x2 | d s | 7.0 sm_75
ex2 approx ftz bf16x2 | d s | 7.8 sm_90
tanh approx f32 | d s | 7.0 sm_75
tanh approx f16x2 | d s | 7.0 sm_75
tanh approx bf16x2 | d s | 7.8 sm_90
copysign {f32,f64} | d s s
testp {finite,infinite,number,notanumber,normal,subnormal} {f32,f64} | d:pred s
cvt {rni,rzi,rmi,rpi} ftz? sat? $cvt {f32,f64,f16,bf16} | d1+ s2
cvt $rnd sat? {f32,f64,f16} $cvt | d1 s2+
cvt $rnd bf16 $cvt | d1 s2+ | 7.8 sm_90
cvt $rnd ftz? sat? f32 f64 | d1 s2
cvt ftz? f64 f32 | d1 s2
cvt {rni,rzi,rmi,rpi}? ftz? sat? f32 f32 | d1 s2
cvt {rni,rzi,rmi,rpi} f64 f64 | d1 s2
cvt {rni,rzi,rmi,rpi} f16 f16 | d1 s2
cvt {rni,rzi,rmi,rpi} bf16 bf16 | d1 s2 | 7.8 sm_90
cvt ftz? sat? f32 f16 | d1 s2
cvt f64 f16 | d1 s2
cvt ftz? sat? f32 bf16 | d1 s2 | 7.1 sm_90
cvt f64 bf16 | d1 s2 | 7.8 sm_90
cvt $rnd ftz? sat? f16 f32 | d1 s2
cvt $rnd satfinite? f16 f64 | d1 s2
cvt $rnd bf16 f64 | d1 s2 | 7.8 sm_90
cvt {rn,rz} relu? satfinite? {f16,bf16} f32 | d1 s2 | 7.0 sm_80
cvt {rn,rz} relu? satfinite? {f16x2,bf16x2} f32 | d:b32 s:f32 s:f32 | 7.0 sm_80
cvt {rn,rz} satfinite relu {f16x2,bf16x2} f32 | d:b32 s:f32 s:f32 | 8.1 sm_80
cvt rna satfinite? tf32 f32 | d:b32 s:f32 | 7.0 sm_80
cvt rn satfinite relu? {e4m3x2,e5m2x2} f32 | d:b16 s:f32 s:f32 | 7.8 sm_89
cvt rn satfinite relu? {e4m3x2,e5m2x2} f16x2 | d:b16 s:b32 | 7.8 sm_89
cvt rn relu? f16x2 {e4m3x2,e5m2x2} | d:b32 s:b16 | 7.8 sm_89
`
