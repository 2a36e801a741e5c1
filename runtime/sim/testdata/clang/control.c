// Control flow that divides warps: nested loops, switches, early returns, recursion, function pointers, structures, local arrays.
typedef unsigned int u32;
struct point { int x; double weight; char tag[5]; };

__attribute__((noinline)) static int factorial(int n) { return n < 2 ? 1 : n * factorial(n - 1); }
__attribute__((noinline)) static int fibonacci(int n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }
__attribute__((noinline)) static struct point make(int x, double w) {
  struct point p;
  p.x = x * 3; p.weight = w * 0.5;
  for (int i = 0; i < 5; i++) p.tag[i] = (char)(x + i);
  return p;
}
__attribute__((noinline)) static int search(const u32 *v, int n, u32 key) {
  for (int i = 0; i < n; i++) {
    if (v[i] % 97 == key % 97) return i;
    if (v[i] > 0xF0000000u) break;
  }
  return -1;
}
static int collatz(u32 n) {
  int steps = 0;
  while (n != 1 && steps < 400) { n = n & 1 ? 3 * n + 1 : n / 2; steps++; }
  return steps;
}
static void sort(int *v, int n) {
  for (int i = 1; i < n; i++) {
    int x = v[i], j = i;
    while (j > 0 && v[j - 1] > x) { v[j] = v[j - 1]; j--; }
    v[j] = x;
  }
}

BODY {
  const u32 *p = (const u32 *)in + 4 * i;
  int r = 0, v[12];
  for (int k = 0; k < 12; k++) v[k] = (int)(p[k & 3] >> k) % 1000 - (int)(p[(k + 1) & 3] >> 20);
  sort(v, 4 + (int)(p[0] % 9));
  for (int k = 0; k < 12; k++) r = r * 31 + v[k];
  switch (p[1] % 11) {
  case 0: r += factorial((int)(p[2] % 12)); break;
  case 1: r += fibonacci((int)(p[2] % 11)); break;
  case 2: r -= collatz(p[3] % 5000 + 1); // falls through
  case 3: r ^= search(p, 4, p[2]); break;
  case 4: { struct point q = make(r & 0xff, (double)(p[0] & 0xffff)); r += q.x + (int)q.weight + q.tag[p[1] % 5]; break; }
  case 5: { int (*volatile f)(int) = p[2] & 1 ? factorial : fibonacci; r += f((int)(p[3] % 9)); break; }
  case 6: for (u32 a = 0; a < p[2] % 7; a++) for (u32 b = a; b < p[3] % 9; b++) { if ((a ^ b) == 5) continue; if (b > 6) goto out; r += (int)(a * b); } break;
  case 7: do { r = r * 5 + 1; } while (r % 7 && (r & 64)); break;
  case 8: if (r & 1) { if (r & 2) r += 11; else r -= 13; } else if (r & 4) r *= 17; else return (void)(((int *)out)[i] = r ^ 1);
  default: r = ~r;
  }
out:
  ((int *)out)[i] = r;
}
