package sim

import "strings"

// Loads, stores, atomics, fences.
const memoryForms = `
ld weak? $space? $cop? $l1? $hint? $l2? $vec? $mem | dv m s:b64?
ld volatile $space? $vec? $mem | dv m
ld global {ca,cg,cs}? nc $l1? $hint? $l2? $vec? $mem | dv m s:b64?
ld {relaxed,acquire} $scope $gs? $l1? $hint? $l2? $vec? $mem | dv m s:b64? | 6.0 sm_70
ld mmio relaxed sys global? $mem | dv m | 8.2 sm_70
ldu global? $vec? $mem | dv m
st weak? $space? $cop? $l1? $hint? $vec? $mem | m sv s:b64?
st volatile $space? $vec? $mem | m sv
st {relaxed,release} $scope $gs? $l1? $hint? $vec? $mem | m sv s:b64? | 6.0 sm_70
st mmio relaxed sys global? $mem | m sv | 8.2 sm_70
prefetch {global,local} {L1,L2} | m
prefetch global {L2::evict_last,L2::evict_normal} | m | 7.4 sm_80
prefetch {L1,L2} | m
prefetch {const,param}? tensormap | m | 8.0 sm_90
prefetchu L1 | m
applypriority global? L2::evict_normal | m i | 7.4 sm_80
discard global? L2 | m i | 7.4 sm_80
createpolicy fractional {L2::evict_last,L2::evict_normal,L2::evict_first,L2::evict_unchanged} {L2::evict_first,L2::evict_unchanged}? b64 | d s:f32? | 7.4 sm_80
atom {relaxed,acquire,release,acq_rel}? $scope? $gs? {and,or,xor} $hint? {b32,b64} | d m s s:b64?
atom {relaxed,acquire,release,acq_rel}? $scope? $gs? exch $hint? {b32,b64} | d m s s:b64?
atom {relaxed,acquire,release,acq_rel}? $scope? $gs? cas {b16,b32,b64} | d m s s
atom {relaxed,acquire,release,acq_rel}? $scope? $gs? add $hint? {u32,s32,u64,f32,f64} | d m s s:b64?
atom {relaxed,acquire,release,acq_rel}? $scope? $gs? {inc,dec} $hint? u32 | d m s s:b64?
atom {relaxed,acquire,release,acq_rel}? $scope? $gs? {min,max} $hint? $i3264 | d m s s:b64?
atom {relaxed,acquire,release,acq_rel}? $scope? $gs? add noftz $hint? {f16,f16x2} | d m s s:b64? | 6.2 sm_70
atom {relaxed,acquire,release,acq_rel}? $scope? $gs? add noftz $hint? {bf16,bf16x2} | d m s s:b64? | 7.8 sm_90
atom {relaxed,acquire,release,acq_rel}? $scope? global? add $hint? {v2,v4} f32 | dv m sv s:b64? | 8.1 sm_90
atom {relaxed,acquire,release,acq_rel}? $scope? global? {add,min,max} noftz $hint? {v2,v4,v8} {f16,bf16} | dv m sv s:b64? | 8.1 sm_90
atom {relaxed,acquire,release,acq_rel}? $scope? global? {add,min,max} noftz $hint? {v2,v4} {f16x2,bf16x2} | dv m sv s:b64? | 8.1 sm_90
red {relaxed,release}? $scope? $gs? {and,or,xor} $hint? {b32,b64} | m s s:b64?
red {relaxed,release}? $scope? $gs? add $hint? {u32,s32,u64,f32,f64} | m s s:b64?
red {relaxed,release}? $scope? $gs? {inc,dec} $hint? u32 | m s s:b64?
red {relaxed,release}? $scope? $gs? {min,max} $hint? $i3264 | m s s:b64?
red {relaxed,release}? $scope? $gs? add noftz $hint? {f16,f16x2} | m s s:b64? | 6.2 sm_70
red {relaxed,release}? $scope? $gs? add noftz $hint? {bf16,bf16x2} | m s s:b64? | 7.8 sm_90
red {relaxed,release}? $scope? global? add $hint? {v2,v4} f32 | m sv s:b64? | 8.1 sm_90
red {relaxed,release}? $scope? global? {add,min,max} noftz $hint? {v2,v4,v8} {f16,bf16} | m sv s:b64? | 8.1 sm_90
red {relaxed,release}? $scope? global? {add,min,max} noftz $hint? {v2,v4} {f16x2,bf16x2} | m sv s:b64? | 8.1 sm_90
fence {sc,acq_rel} $scope | | 6.0 sm_70
fence {acquire,release} $scope | | 8.6 sm_90
fence mbarrier_init release cluster | | 8.0 sm_90
fence proxy alias | | 7.5 sm_70
fence proxy async {global,shared::cta,shared::cluster}? | | 8.0 sm_90
membar {cta,gl,sys} |
membar proxy async {global,shared::cta,shared::cluster}? | | 8.0 sm_90
mapa shared::cluster? {u32,u64} | d s s:u32 | 7.8 sm_90
getctarank shared::cluster? {u32,u64} | d:u32 s | 7.8 sm_90
griddepcontrol {launch_dependents,wait} | | 7.8 sm_90
setmaxnreg {inc,dec} sync aligned u32 | i | 8.0 sm_90a
`

// Asynchronous copies and mbarriers.
const asyncForms = `
cp async ca $sc global $hint? $l2? | m m i s:u32? s:b64? | 7.0 sm_80
cp async cg $sc global $hint? $l2? | m m i s:u32? s:b64? | 7.0 sm_80
cp async commit_group | | 7.0 sm_80
cp async wait_group | i | 7.0 sm_80
cp async wait_all | | 7.0 sm_80
cp async mbarrier arrive noinc? {shared,shared::cta}? b64 | m | 7.0 sm_80
cp async bulk shared::cluster global $tx multicast::cluster? $hint? | m m s:u32 m s:b16? s:b64? | 8.0 sm_90
cp async bulk shared::cta global $tx $hint? | m m s:u32 m s:b64? | 8.6 sm_90
cp async bulk shared::cluster shared::cta $tx | m m s:u32 m | 8.0 sm_90
cp async bulk global shared::cta bulk_group $hint? | m m s:u32 s:b64? | 8.0 sm_90
cp async bulk tensor $dim shared::cluster global tile? $tx multicast::cluster? $hint? | m mt m s:b16? s:b64? | 8.0 sm_90
cp async bulk tensor $dim shared::cta global tile? $tx $hint? | m mt m s:b64? | 8.6 sm_90
cp async bulk tensor $dim global shared::cta tile? bulk_group $hint? | mt m s:b64? | 8.0 sm_90
cp async bulk commit_group | | 8.0 sm_90
cp async bulk wait_group read? | i | 8.0 sm_90
cp async bulk prefetch L2 global $hint? | m s:u32 s:b64? | 8.0 sm_90
cp async bulk prefetch tensor $dim L2 global tile? $hint? | mt s:b64? | 8.0 sm_90
cp reduce async bulk shared::cluster shared::cta $tx {add,min,max,inc,dec,and,or,xor} {s32,u32,u64,b32} | m m s:u32 m | 8.0 sm_90
cp reduce async bulk global shared::cta bulk_group $hint? {add,min,max,inc,dec,and,or,xor} {f16,bf16,b32,u32,s32,b64,u64,s64,f32,f64} | m m s:u32 s:b64? | 8.0 sm_90
cp reduce async bulk global shared::cta bulk_group $hint? add noftz {f16,bf16} | m m s:u32 s:b64? | 8.0 sm_90
cp reduce async bulk tensor $dim global shared::cta {add,min,max,inc,dec,and,or,xor} tile? bulk_group $hint? | mt m s:b64? | 8.0 sm_90
st async weak? shared::cluster? $tx {v2,v4}? {b32,b64,u32,u64,s32,s64,f32,f64} | m sv m | 8.1 sm_90
red async relaxed? cluster? shared::cluster? $tx {inc,dec,min,max,add,and,or,xor} {u32,s32,u64,b32} | m s m | 8.1 sm_90
mbarrier init {shared,shared::cta}? b64 | m s:u32 | 7.0 sm_80
mbarrier inval {shared,shared::cta}? b64 | m | 7.0 sm_80
mbarrier expect_tx relaxed? {cta,cluster}? {shared,shared::cta,shared::cluster}? b64 | m s:u32 | 8.0 sm_90
mbarrier complete_tx relaxed? {cta,cluster}? {shared,shared::cta,shared::cluster}? b64 | m s:u32 | 8.0 sm_90
mbarrier {arrive,arrive_drop} {release,relaxed}? {cta,cluster}? {shared,shared::cta,shared::cluster}? b64 | d m s:u32? | 7.0 sm_80
mbarrier {arrive,arrive_drop} expect_tx {release,relaxed}? {cta,cluster}? {shared,shared::cta,shared::cluster}? b64 | d m s:u32 | 8.0 sm_90
mbarrier {arrive,arrive_drop} noComplete {release}? cta? {shared,shared::cta}? b64 | d m s:u32 | 7.0 sm_80
mbarrier test_wait {acquire,relaxed}? {cta,cluster}? {shared,shared::cta}? b64 | d:pred m s:b64 | 7.0 sm_80
mbarrier test_wait parity {acquire,relaxed}? {cta,cluster}? {shared,shared::cta}? b64 | d:pred m s:u32 | 7.1 sm_80
mbarrier try_wait {acquire,relaxed}? {cta,cluster}? {shared,shared::cta}? b64 | d:pred m s:b64 s:u32? | 7.8 sm_90
mbarrier try_wait parity {acquire,relaxed}? {cta,cluster}? {shared,shared::cta}? b64 | d:pred m s:u32 s:u32? | 7.8 sm_90
mbarrier pending_count b64 | d:u32 s:b64 | 7.0 sm_80
`

// Warps and barriers.
const warpForms = `
bar sync | s:u32 s:u32?
bar arrive | s:u32 s:u32
bar red {and,or} pred | d s:u32 s:u32? s:pred
bar red popc u32 | d s:u32 s:u32? s:pred
bar cta sync | s:u32 s:u32? | 6.0
bar cta arrive | s:u32 s:u32 | 6.0
bar cta red {and,or} pred | d s:u32 s:u32? s:pred | 6.0
bar cta red popc u32 | d s:u32 s:u32? s:pred | 6.0
bar warp sync | s:b32 | 6.0
barrier cta? sync aligned? | s:u32 s:u32? | 6.0
barrier cta? arrive aligned? | s:u32 s:u32 | 6.0
barrier cta? red {and,or} aligned? pred | d s:u32 s:u32? s:pred | 6.0
barrier cta? red popc aligned? u32 | d s:u32 s:u32? s:pred | 6.0
barrier cluster arrive {release,relaxed}? aligned? | | 7.8 sm_90
barrier cluster wait acquire? aligned? | | 7.8 sm_90
shfl sync {up,down,bfly,idx} b32 | dp s:b32 s:u32 s:u32 s:b32 | 6.0
vote sync {all,any,uni} pred | d s:pred s:b32 | 6.0
vote sync ballot b32 | d s:pred s:b32 | 6.0
match any sync {b32,b64} | d:b32 s s:b32 | 6.0 sm_70
match all sync {b32,b64} | dm s s:b32 | 6.0 sm_70
activemask b32 | d | 6.2
redux sync {add,min,max} {u32,s32} | d s s:b32 | 7.0 sm_80
redux sync {and,or,xor} b32 | d s s:b32 | 7.0 sm_80
elect sync | dm s:b32 | 8.0 sm_90
`

// Matrices.
const matrixForms = `
ldmatrix sync aligned m8n8 {x1,x2,x4} trans? {shared,shared::cta}? b16 | v m | 6.5 sm_75
stmatrix sync aligned m8n8 {x1,x2,x4} trans? {shared,shared::cta}? b16 | m v | 7.8 sm_90
movmatrix sync aligned m8n8 trans b16 | d:b32 s:b32 | 7.8 sm_75
mma sync aligned m16n8k16 row col f32 bf16 bf16 f32 | v v v v | 7.0 sm_80
mma sync aligned m16n8k8 row col f32 bf16 bf16 f32 | v v v v | 7.0 sm_80
mma sync aligned m16n8k16 row col f32 f16 f16 f32 | v v v v | 7.0 sm_80
mma sync aligned m16n8k16 row col f16 f16 f16 f16 | v v v v | 7.0 sm_80
mma sync aligned m16n8k8 row col f32 f16 f16 f32 | v v v v | 6.5 sm_75
mma sync aligned m16n8k8 row col f32 tf32 tf32 f32 | v v v v | 7.0 sm_80
mma sync aligned m16n8k4 row col f32 tf32 tf32 f32 | v v v v | 7.0 sm_80
mma sync aligned m16n8k32 row col satfinite? s32 {s8,u8} {s8,u8} s32 | v v v v | 7.0 sm_80
mma sync aligned m16n8k16 row col satfinite? s32 {s8,u8} {s8,u8} s32 | v v v v | 7.0 sm_80
wgmma fence sync aligned | | 8.0 sm_90a
wgmma commit_group sync aligned | | 8.0 sm_90a
wgmma wait_group sync aligned | i | 8.0 sm_90a
wgmma mma_async sync aligned $wgmma16 f32 {bf16,f16} {bf16,f16} | v wa s:b64 p i i i i? | 8.0 sm_90a
wgmma mma_async sync aligned $wgmma8 f32 tf32 tf32 | v wa s:b64 p i i | 8.0 sm_90a
wgmma mma_async sync aligned $wgmma32 f32 {e4m3,e5m2} {e4m3,e5m2} | v wa s:b64 p i i | 8.0 sm_90a
`

// wgmmaShapes lists m64n8 to m64n256 for one depth.
func wgmmaShapes(depth string) string {
	var names []string
	for n := 8; n <= 256; n += 8 {
		names = append(names, "m64n"+itoa(n)+depth)
	}
	return "{" + strings.Join(names, ",") + "}"
}
