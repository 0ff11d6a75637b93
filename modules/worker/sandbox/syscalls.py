"""Numbers of system calls on x86-64 and ARM64, and which of them the WhisperX process gives up.

Sources: ``asm/unistd_64.h`` and ``asm-generic/unistd.h`` of Linux.
"""

from __future__ import annotations

#: From this number on, calls are newer than 2019 and have the same numbers everywhere; those that
#: are not in ``NEW`` are answered as by a kernel that does not know them.
FIRST_NEW = {"x86_64": 335, "aarch64": 295}
#: close_range, faccessat2, epoll_pwait2, futex_waitv, cachestat, map_shadow_stack, futex_wake,
#: futex_wait, futex_requeue, mseal. Not among them: io_uring, pidfd, clone3 (its flags cannot be
#: seen, and the C library then uses clone), openat2 (the same), mounts, fchmodat2, file_setattr.
NEW = (436, 439, 441, 449, 451, 453, 454, 455, 456, 462)

#: Refused whatever their arguments are: name=x86-64/ARM64, or - where there is no such call.
_REFUSED = """
Attributes: the owner of a file can change them without a permission to write
    chmod=90/- fchmod=91/52 fchmodat=268/53 chown=92/- fchown=93/55 lchown=94/- fchownat=260/54
    utime=132/- utimes=235/- futimesat=261/- utimensat=280/88
    setxattr=188/5 lsetxattr=189/6 fsetxattr=190/7 getxattr=191/8 lgetxattr=192/9 fgetxattr=193/10
    listxattr=194/11 llistxattr=195/12 flistxattr=196/13
    removexattr=197/14 lremovexattr=198/15 fremovexattr=199/16
Other kinds of files, locks, names of what others do
    link=86/- linkat=265/37 symlink=88/- symlinkat=266/36 mknod=133/- mknodat=259/33 flock=73/32
    inotify_init=253/- inotify_init1=294/26 inotify_add_watch=254/27 inotify_rm_watch=255/28
    fanotify_init=300/262 fanotify_mark=301/263
    name_to_handle_at=303/264 open_by_handle_at=304/265 lookup_dcookie=212/18
    quotactl=179/60 sync=162/81 syncfs=306/267 splice=275/76 tee=276/77 vmsplice=278/75
Processes: none is started, none is looked into, and this one stays in its group
    fork=57/- vfork=58/- execve=59/221 execveat=322/281 setsid=112/157 setpgid=109/154
    unshare=272/97 setns=308/268 ptrace=101/117 kcmp=312/272 tkill=200/130
    process_vm_readv=310/270 process_vm_writev=311/271 migrate_pages=256/238 move_pages=279/239
    setpriority=141/140 ioprio_set=251/30 personality=135/92 acct=163/89
Users and capabilities
    setuid=105/146 setgid=106/144 setreuid=113/145 setregid=114/143 setresuid=117/147
    setresgid=119/149 setgroups=116/159 setfsuid=122/151 setfsgid=123/152 capset=126/91
Memory, queues and keys that processes of a user share
    shmget=29/194 shmctl=31/195 shmat=30/196 shmdt=67/197
    semget=64/190 semctl=66/191 semop=65/193 semtimedop=220/192
    msgget=68/186 msgctl=71/187 msgrcv=70/188 msgsnd=69/189
    mq_open=240/180 mq_unlink=241/181 mq_timedsend=242/182 mq_timedreceive=243/183
    mq_notify=244/184 mq_getsetattr=245/185 add_key=248/217 request_key=249/218 keyctl=250/219
Sockets
    socket=41/198 connect=42/203 bind=49/200 listen=50/201 accept=43/202 accept4=288/242
The kernel and the machine
    bpf=321/280 perf_event_open=298/241 userfaultfd=323/282 mount=165/40 umount2=166/39
    pivot_root=155/41 chroot=161/51 swapon=167/224 swapoff=168/225 reboot=169/142
    sethostname=170/161 setdomainname=171/162 create_module=174/- init_module=175/105
    finit_module=313/273 delete_module=176/106 kexec_load=246/104 kexec_file_load=320/294
    nfsservctl=180/42 syslog=103/116 settimeofday=164/170 clock_settime=227/112 adjtimex=159/171
    clock_adjtime=305/266 iopl=172/- ioperm=173/- modify_ldt=154/- vhangup=153/58 uselib=134/-
    sysfs=139/-
"""

#: Refused or not by their arguments.
_EXAMINED = """
    open=2/- openat=257/56 creat=85/- mkdir=83/- mkdirat=258/34 fcntl=72/25 ioctl=16/29
    clone=56/220 kill=62/129 tgkill=234/131 rt_sigqueueinfo=129/138 rt_tgsigqueueinfo=297/240
    prlimit64=302/261 sched_setaffinity=203/122 sched_setscheduler=144/119
    sched_setparam=142/118 sched_setattr=314/274 prctl=157/167 socketpair=53/199
"""


def _numbers(table: str, processor: str) -> dict[str, int]:
    column = tuple(FIRST_NEW).index(processor)
    rows = (word.split("=") for word in table.split() if "=" in word)
    named = {name: numbers.split("/")[column] for name, numbers in rows}
    return {name: int(number) for name, number in named.items() if number != "-"}


def refused(processor: str) -> dict[str, int]:
    """Calls that are always refused, by name."""
    return _numbers(_REFUSED, processor)


def examined(processor: str) -> dict[str, int]:
    """Calls whose arguments decide, by name."""
    return _numbers(_EXAMINED, processor)
