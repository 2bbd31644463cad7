# The first process of a container whose calls are processes: see HeldProgram. x86-64 Linux; to assemble it:
#   as -o held.o held.s && objcopy -O binary -j .text held.o held.bin
.intel_syntax noprefix
.globl _start
_start:
  mov r12, rsp                  # argc, argv, 0, environment
  sub rsp, 128
  mov r14, rsp                  # 0: word of the end, 16: status, 20: error, 24: two pollfds, 40: status, 48: sigaction
  mov byte ptr [r14], 'R'
  mov eax, 1                    # write(1, "R", 1)
  mov edi, 1
  mov rsi, r14
  mov edx, 1
  syscall
  xor ebx, ebx                  # bytes of the word
nonce:
  xor eax, eax                  # read(0, word + ebx, 16 - ebx)
  xor edi, edi
  lea rsi, [r14+rbx]
  mov edx, 16
  sub edx, ebx
  syscall
  cmp rax, -4                   # EINTR
  je nonce
  test rax, rax
  jle end                       # the node has gone, or needs it no more
  add ebx, eax
  cmp ebx, 16
  jl nonce
  mov qword ptr [r14+16], 0
  mov eax, 58                   # vfork()
  syscall
  test rax, rax
  jnz parent
  mov rdi, [r12+16]             # execve(argv[1], argv + 1, environment)
  lea rsi, [r12+16]
  mov rdx, [r12]
  lea rdx, [r12+rdx*8+16]
  mov eax, 59
  syscall
  neg eax
  mov [r14+20], eax             # in the memory of both
  mov edi, 127                  # exit(127)
  mov eax, 60
  syscall
parent:
  mov r13, rax
  mov eax, 434                  # pidfd_open(child, 0); where there is none, the poll's time-out does
  mov rdi, r13
  xor esi, esi
  syscall
  mov qword ptr [r14+24], 2     # {2, 0}: told when nobody reads it any more
  mov [r14+32], eax             # {pidfd, POLLIN}
  mov dword ptr [r14+36], 1
  mov r15d, 100                 # for orphans
  xor ebx, ebx                  # 1: the child has ended, 2: that was told
watch:
  mov eax, 7                    # poll(pollfds, 2, r15d)
  lea rdi, [r14+24]
  mov esi, 2
  mov edx, r15d
  syscall
  cmp word ptr [r14+30], 0
  jne end                       # the node has gone
reap:
  mov eax, 61                   # wait4(-1, &status, WNOHANG, 0)
  mov rdi, -1
  lea rsi, [r14+40]
  mov edx, 1
  xor r10d, r10d
  syscall
  test rax, rax
  jle reaped
  cmp rax, r13
  jne reap
  mov ebx, [r14+40]
  mov [r14+16], ebx
  mov ebx, 1
  jmp reap
reaped:
  cmp ebx, 1
  jne watch
  xor eax, eax                  # rt_sigaction(SIGCHLD, {SIG_IGN}, 0, 8): the kernel takes orphans away
  mov [r14+48], rax
  mov [r14+56], rax
  mov [r14+64], rax
  mov [r14+72], rax
  mov byte ptr [r14+48], 1
  mov eax, 13
  mov edi, 17
  lea rsi, [r14+48]
  xor edx, edx
  mov r10d, 8
  syscall
  mov ebx, 2
  mov r15d, -1
  mov eax, 3                    # close(pidfd)
  mov edi, [r14+32]
  syscall
  mov dword ptr [r14+32], -1
  mov eax, 1                    # write(2, word and status, 24)
  mov edi, 2
  mov rsi, r14
  mov edx, 24
  syscall
  mov eax, 1                    # write(1, word and status, 24)
  mov edi, 1
  mov rsi, r14
  mov edx, 24
  syscall
  jmp reap                      # those that had ended before
end:
  xor edi, edi                  # exit(0)
  mov eax, 60
  syscall
