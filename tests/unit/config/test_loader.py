"""config.yaml and the environment: what is accepted, and what people are told."""

from __future__ import annotations

import typing
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from modules import PROJECT_ROOT
from modules.config import user_folders
from modules.config.languages import LANGUAGE_CODES
from modules.config.loader import ENVIRONMENT, config_path, load_config
from modules.config.recording_settings import check_settings
from modules.config.rules import settings_conflicts
from modules.config.schema import Config, WhisperxConfig
from modules.config.settings import TranscriptionSettings
from modules.errors import ConfigError


class Folder:
    """A folder with one configuration file in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "config.yaml"

    def load(self, text: str = "", **environ: str) -> Config:
        self.file.write_text(text, encoding="utf-8")
        return load_config(self.file, environ)

    def problems(self, text: str = "", **environ: str) -> list[str]:
        """The lines of complaint, less the name of the file."""
        with pytest.raises(ConfigError) as caught:
            self.load(text, **environ)
        return [line.removeprefix(f"{self.file}: ") for line in caught.value.problems]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def keys_of(model: type[BaseModel], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= keys_of(field.annotation, f"{prefix}{name}.")
        else:
            found.add(prefix + name)
    return found


def keys_in(tree: dict[str, typing.Any], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, value in tree.items():
        inner = keys_in(value, f"{prefix}{name}.") if isinstance(value, dict) else set()
        found |= inner or {prefix + name}
    return found


# --- the shipped file ---------------------------------------------------------------------------


def test_shipped_file_states_every_default(folder: Folder) -> None:
    text = (PROJECT_ROOT / "config.yaml").read_text(encoding="utf-8")
    assert folder.load(text) == folder.load("")


def test_shipped_file_has_every_key_and_explains_each() -> None:
    text = (PROJECT_ROOT / "config.yaml").read_text(encoding="utf-8")
    assert keys_in(yaml.safe_load(text)) == keys_of(Config)
    unexplained = [line for line in text.splitlines() if ": " in line and "# " not in line]
    assert unexplained == []


def test_shipped_file_names_every_variable() -> None:
    text = (PROJECT_ROOT / "config.yaml").read_text(encoding="utf-8")
    assert [name for name in ENVIRONMENT if f"[{name}]" not in text] == []


# --- which file ---------------------------------------------------------------------------------


def test_argument_goes_before_variable_and_variable_before_the_usual_place() -> None:
    environ = {"CONFIG_PATH": "/etc/from-variable.yaml"}
    assert config_path(Path("/etc/a.yaml"), environ) == (Path("/etc/a.yaml"), True)
    assert config_path(None, environ) == (Path("/etc/from-variable.yaml"), True)
    assert config_path(None, {"CONFIG_PATH": ""}) == (PROJECT_ROOT / "config.yaml", False)


@pytest.mark.parametrize("by_argument", [True, False])
def test_named_file_must_exist(tmp_path: Path, by_argument: bool) -> None:
    missing = tmp_path / "missing.yaml"
    argument, environ = (missing, {}) if by_argument else (None, {"CONFIG_PATH": str(missing)})
    with pytest.raises(ConfigError, match=r"missing\.yaml: cannot be read"):
        load_config(argument, environ)


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_folders, "PROJECT_ROOT", tmp_path)
    config = load_config(None, {})
    assert (config.api.port, config.shared_directory) == (8000, tmp_path / "shared")


# --- an installed copy --------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of the user of an installed copy."""
    monkeypatch.setattr(user_folders, "IS_INSTALLED", True)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def folders_of(config: Config) -> list[Path]:
    return [config.shared_directory, config.manual_directory, config.models_directory]


def test_it_keeps_everything_in_the_folders_of_the_user(home: Path) -> None:
    data = home / ".local" / "share" / "audio-transcriber"
    expected = [data / name for name in ("shared", "manual", "models")]
    assert folders_of(load_config(None, {})) == expected
    file = home / ".config" / "audio-transcriber" / "config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("api: {port: 9}\nmanual_directory: failed\n")
    for named, environ in ((None, {}), (file, {}), (None, {"CONFIG_PATH": str(file)})):
        config = load_config(named, environ)
        assert config.api.port == 9
        assert folders_of(config) == [data / "shared", data / "failed", data / "models"]


def test_it_goes_by_the_variables_of_the_specification(home: Path) -> None:
    environ = {"XDG_CONFIG_HOME": "/etc/anna", "XDG_DATA_HOME": "/data/anna"}
    expected = (Path("/etc/anna/audio-transcriber/config.yaml"), False)
    assert config_path(None, environ) == expected
    shared = load_config(None, environ).shared_directory
    assert shared == Path("/data/anna/audio-transcriber/shared")
    for useless in ("", "relative/folder"):
        environ = {"XDG_CONFIG_HOME": useless, "XDG_DATA_HOME": useless}
        file, _named = config_path(None, environ)
        assert file == home / ".config" / "audio-transcriber" / "config.yaml"
        config = load_config(None, environ)
        assert config.shared_directory.is_relative_to(home / ".local" / "share")


def test_a_configuration_that_is_named_elsewhere_has_its_folders_beside_it(home: Path) -> None:
    file = home / "mine.yaml"
    file.write_text("")
    expected = [home / name for name in ("shared", "manual", "models")]
    assert folders_of(load_config(file, {})) == expected


def test_what_is_in_the_current_folder_is_not_read(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = home / "downloads"
    here.mkdir()
    monkeypatch.chdir(here)
    (here / "config.yaml").write_text("api: {port: 9}\n")
    assert load_config(None, {}).api.port == 8000


# --- values -------------------------------------------------------------------------------------


def test_relative_paths_count_from_the_file(folder: Folder) -> None:
    config = folder.load(
        "shared_directory: in\n"
        "models_directory: /weights\n"
        "whisperx: {model_size: ./mine}\n"
        "processing: {lock_file: run/lock}\n",
        MANUAL_DIRECTORY="../failed",
    )
    assert config.shared_directory == folder.path / "in"
    assert config.manual_directory == folder.path.parent / "failed"
    assert config.models_directory == Path("/weights")
    assert config.whisperx.model_size == str(folder.path / "mine")
    assert config.processing.lock_file == folder.path / "run" / "lock"


def test_home_is_expanded(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    assert folder.load("shared_directory: ~/in").shared_directory == Path("/home/anna/in")


def test_whole_number_is_a_number(folder: Folder) -> None:
    assert folder.load("whisperx: {temperature: 0}").whisperx.temperature == 0.0


def test_case_of_level_and_language_is_forgiven(folder: Folder) -> None:
    config = folder.load("logging: {level: debug}\nwhisperx: {language: EN}")
    assert (config.logging.level, config.whisperx.language) == ("DEBUG", "en")


def test_result_alone_may_be_asked_for(folder: Folder) -> None:
    assert folder.load("output: {formats: []}").output.formats == ()


def test_default_settings_are_those_of_the_file(folder: Folder) -> None:
    config = folder.load("whisperx: {language: en, model_size: small, debug: true}")
    assert config.default_settings() == TranscriptionSettings(
        model_size="small",
        language="en",
        temperature=0.0,
        compute_type="int8",
        device="cpu",
        debug=True,
    )


def test_configuration_is_frozen_to_its_leaves(folder: Folder) -> None:
    config = folder.load()
    with pytest.raises(ValidationError, match="frozen"):
        config.api.port = 1  # type: ignore[misc]


def test_there_are_a_hundred_languages() -> None:
    assert len(LANGUAGE_CODES) == 100
    assert {"ru", "en", "haw", "yue"} <= LANGUAGE_CODES


def test_a_cluster_may_have_several_workers(folder: Folder) -> None:
    text = 'workers: {kind: ray, address: "127.0.0.1:6379", max: 4}\nlive: {enabled: false}'
    assert folder.load(text).tasks_at_once == 4
    assert folder.load("").tasks_at_once == 1


# --- complaints ---------------------------------------------------------------------------------

COMPLAINTS = [
    ("whisperx: {temperature: 7}", "whisperx.temperature: must be between 0 and 1, got 7"),
    ("whisperx: {temperature: true}", "whisperx.temperature: must be a number, got true"),
    ("whisperx: {cpu_threads: true}", "whisperx.cpu_threads: must be a whole number, got true"),
    ('whisperx: {hotwords: "\\ud800"}',
     "whisperx.hotwords: must be text; half of a character is in it, got '\\ud800'"),
    ("whisperx: {vad_onset: 0.3, vad_offset: 0.4}",
     "whisperx.vad_offset: must not be above vad_onset (0.3), got 0.4"),
    ("whisperx: {min_speakers: 3, max_speakers: 2}",
     "whisperx.min_speakers: must not be above max_speakers (2), got 3"),
    ("whisperx: {beam_size: 5.0}", "whisperx.beam_size: must be a whole number, got 5.0"),
    ("watch: {rescan_seconds: .inf}", "watch.rescan_seconds: must be a finite number, got inf"),
    ('api: {port: "8000"}', "api.port: must be a whole number, got '8000'"),
    ("api: {port: 65536}", "api.port: must be between 0 and 65535, got 65536"),
    (
        "api: {max_concurrent_tasks: 3}",
        "api.max_concurrent_tasks: must be 1, because one machine runs one task at a time, got 3; "
        "workers.kind: ray has several machines",
    ),
    (
        "workers: {max: 2}",
        "workers.max: must be 1, because one machine runs one task at a time, got 2; "
        "workers.kind: ray has several machines",
    ),
    (
        "workers: {media: stream}",
        "workers.media: can only be set with workers.kind: ray, got 'stream'; leave it out, or "
        "set that",
    ),
    ("workers: {kind: dask}", "workers.kind: must be one of local, ray, got 'dask'"),
    (
        "workers: {kind: ray, max: 2}\nlive: {enabled: false}",
        "workers.address: is needed with workers.kind: ray, such as 10.0.0.1:6379",
    ),
    (
        'workers: {kind: ray, address: "head"}\nlive: {enabled: false}',
        "workers.address: must be a host and a port, such as 10.0.0.1:6379, got 'head'",
    ),
    (
        'workers: {kind: ray, address: "10.0.0.1:6379"}\nlive: {enabled: false}',
        "workers.token_file: is needed, as workers.address is on another machine",
    ),
    (
        'workers: {kind: ray, address: "127.0.0.1:6379"}',
        "live.enabled: must be false with workers.kind: ray, as live sessions need a worker on "
        "this machine",
    ),
    (
        'workers: {kind: ray, address: "127.0.0.1:6379"}\n'
        "live: {enabled: false, wyoming_port: 10300}",
        "live.wyoming_port: must be left out with workers.kind: ray, as there are no live "
        "sessions then",
    ),
    (
        'workers: {kind: ray, address: "127.0.0.1:6379", max: 3}\nlive: {enabled: false}\n'
        "api: {max_concurrent_tasks: 2}",
        "api.max_concurrent_tasks: must be what workers.max is (3), or be left out, got 2",
    ),
    (
        'workers: {kind: ray, address: "[::1]:6379", path_map: {"shared": "/mnt"}}\n'
        "live: {enabled: false}",
        "workers.path_map: must map absolute paths to absolute paths, such as "
        "{/srv/shared: /mnt/shared}, got {shared: '/mnt'}",
    ),
    ("api: {workers: 0}", "api.workers: must be 1, because one machine runs one task at a time, "
     "got 0"),
    ("watch: {events: 1}", "watch.events: must be true or false, got 1"),
    # YAML reads a bare "no", which is Norwegian, as false.
    ("whisperx: {language: no}", "whisperx.language: must be text, got false; put it in quotes"),
    (
        "whisperx: {language: rusian}",
        "whisperx.language: must be auto, mixed or a language that Whisper knows, such as "
        "ru or Russian, got 'rusian'; did you mean ru?",
    ),
    (
        "whisperx: {device: gpu}",
        "whisperx.device: must be one of cpu, cuda, auto, got 'gpu'",
    ),
    (
        "logging: {level: warn}",
        "logging.level: must be one of DEBUG, INFO, WARNING, ERROR, got 'WARN'; "
        "did you mean WARNING?",
    ),
    ("output: {formats: txt}", "output.formats: must be a list, such as [txt, srt], got 'txt'"),
    (
        "output: {formats: [txt, pdf]}",
        "output.formats.1: must be one of txt, srt, vtt, tsv, json, docx, md, got 'pdf'",
    ),
    (
        "output: {formats: [srt, srt]}",
        "output.formats: must name each format once, got ['srt', 'srt']",
    ),
    (
        "shared_directory:",
        "shared_directory: has no value; give it one, or remove the line to use the default",
    ),
    ("watch:", "watch: has no value; give it one, or remove the line to use the default"),
    ("watch: 5", "watch: must be a section with keys of its own, got 5"),
    ("shared_directory: 5", "shared_directory: must be the path of a file or folder, got 5"),
    ('api: {host: " "}', "api.host: must not be empty, got ' '"),
    ("api: {trusted_hosts: office.example.com}",
     "api.trusted_hosts: must be a list, such as [office.example.com], got 'office.example.com'"),
    ("api: {cors_origins: 'app://obsidian.md'}",
     "api.cors_origins: must be a list, such as [\"app://obsidian.md\"], got 'app://obsidian.md'"),
    ("api: {cors_origins: ['*']}",
     "api.cors_origins: must name the sites while there is no api.key, got *"),
    ("api: {unknown_model: ask}",
     "api.unknown_model: must be one of configured, refuse, got 'ask'"),
    ("api: {trusted_hosts: [80]}", "api.trusted_hosts.0: must be text, got 80; put it in quotes"),
    (
        "whisperx: {temprature: 0}",
        "whisperx.temprature: is not a known key; did you mean whisperx.temperature?",
    ),
    ("language: ru", "language: is not a known key; did you mean whisperx.language?"),
    (
        "api: {shared_directory: x}",
        "api.shared_directory: is not a known key; did you mean shared_directory?",
    ),
    (
        "logging: {xyz: 1}",
        "logging.xyz: is not a known key; known here: level",
    ),
    (
        "whisperx: {compute_type: float16}",
        "whisperx.compute_type: float16 needs a GPU; use int8 on device cpu",
    ),
    (
        "whisperx: {model_size: tiny.en}",
        "whisperx.language: the model tiny.en knows English only, got 'ru'; use en, "
        "or another model",
    ),
    (
        "whisperx: {language: yue}",
        "whisperx.language: yue is known to large-v3 and turbo only, not to the model base",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), COMPLAINTS, ids=[line for _, line in COMPLAINTS])
def test_complaint(folder: Folder, text: str, line: str) -> None:
    assert folder.problems(text) == [line]


def test_unknown_model_size_names_the_nearest(folder: Folder) -> None:
    [line] = folder.problems("whisperx: {model_size: bse}")
    assert line.startswith("whisperx.model_size: must be one of tiny, tiny.en, base")
    assert line.endswith("or a path with a slash in it, got 'bse'; did you mean base?")


def test_manual_must_not_be_shared_however_it_is_spelled(folder: Folder) -> None:
    (folder.path / "shared").mkdir()
    (folder.path / "link").symlink_to("shared")
    [line] = folder.problems("manual_directory: link")
    assert line.startswith("manual_directory: must not be the shared_directory too")


def test_manual_inside_a_recursively_watched_folder_would_feed_itself(folder: Folder) -> None:
    text = "manual_directory: shared/failed\nwatch: {recursive: %s}"
    assert folder.load(text % "false").manual_directory == folder.path / "shared" / "failed"
    [line] = folder.problems(text % "true")
    assert line.startswith("manual_directory: must not lie inside shared_directory")


@pytest.mark.parametrize(
    ("texts", "key"),
    [
        ("shared", "shared_directory"),
        ("shared/texts", "shared_directory"),
        (".", "shared_directory"),
        ("manual", "manual_directory"),
        ("manual/texts", "manual_directory"),
    ],
)
def test_the_folder_of_the_texts_lies_apart(folder: Folder, texts: str, key: str) -> None:
    [line] = folder.problems(f"output: {{directory: {texts}}}")
    assert line.startswith(f"output.directory: must lie apart from {key}, got ")
    assert folder.load("output: {directory: texts}").output.directory == folder.path / "texts"


def test_everything_is_reported_at_once(folder: Folder) -> None:
    text = (
        "api: {port: 8000, port: 8001}\n"
        "whisperx: {temperature: 7, compute_type: float16}\n"
        "colour: red\n"
        "manual_directory: shared\n"
    )
    subjects = [line.split(": ")[0] for line in folder.problems(text, LOG_LEVEL="loud")]
    assert subjects == [
        "line 1",
        "whisperx.temperature",
        "colour",
        "LOG_LEVEL",
        "manual_directory",
        "whisperx.compute_type",
    ]


def test_no_second_complaint_about_a_value_that_was_already_refused(folder: Folder) -> None:
    lines = folder.problems("whisperx: {device: gpu, compute_type: float16}")
    assert [line.split(":")[0] for line in lines] == ["whisperx.device"]


# --- the text of the file -----------------------------------------------------------------------


def test_syntax_error_names_its_line(folder: Folder) -> None:
    [line] = folder.problems("api:\n  port: 1\n  host: a: b\n")
    assert line == (
        "line 3: a colon where none can be; put the value in quotes, or check the indentation; "
        "this is not valid YAML"
    )


def test_syntax_error_does_not_hide_the_environment(folder: Folder) -> None:
    assert folder.problems("a: [", API_PORT="70000")[1:] == [
        "API_PORT: must be between 0 and 65535, got 70000"
    ]


def test_duplicate_key_names_its_line(folder: Folder) -> None:
    [line] = folder.problems("watch:\n  events: true\n  recursive: true\n  events: false\n")
    assert line == "line 4: the key events is there twice"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a: \xff", "is not UTF-8 text (byte 3); save it as UTF-8"),
        (b"a: 1\nb: \x01", "line 2: a character that YAML does not allow"),
        (b"- 1", "must hold keys and values, got [1]"),
        (
            b"a: 2020-99-99",
            "holds a value that YAML cannot read, such as a wrong date; put it in quotes",
        ),
        (b"? [1, 2]\n: 3", "line 1: something that YAML does not know; this is not valid YAML"),
    ],
)
def test_unreadable_text(folder: Folder, content: bytes, line: str) -> None:
    folder.file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(folder.file, {})
    assert caught.value.problems == [f"{folder.file}: {line}"]


def test_mark_of_windows_editors_is_no_part_of_the_text(folder: Folder) -> None:
    folder.file.write_bytes(b"\xef\xbb\xbfapi: {port: 9}\r\n")
    assert load_config(folder.file, {}).api.port == 9


def test_yaml_cannot_run_code(folder: Folder) -> None:
    [line] = folder.problems("a: !!python/object/apply:os.getcwd []")
    assert line.startswith("line 1: a word that begins with !")


# --- the environment ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("WHISPERX_MODEL_SIZE", "small", "small"),
        ("WHISPERX_LANGUAGE", "de", "de"),
        ("WHISPERX_DEVICE", "cuda", "cuda"),
        ("WHISPERX_COMPUTE_TYPE", "float32", "float32"),
        ("SHARED_DIRECTORY", "/s", Path("/s")),
        ("MANUAL_DIRECTORY", "/m", Path("/m")),
        ("API_HOST", "0.0.0.0", "0.0.0.0"),
        ("API_PORT", " 81 ", 81),
    ],
)
def test_variable_goes_before_the_file(
    folder: Folder, variable: str, text: str, expected: object
) -> None:
    value: object = folder.load(
        "api: {port: 1, host: x}\nlogging: {level: ERROR}", **{variable: text}
    )
    for part in ENVIRONMENT[variable]:
        value = getattr(value, part)
    assert value == expected


def test_variable_leaves_the_rest_of_its_section(folder: Folder) -> None:
    assert folder.load("api: {host: here}", API_PORT="9").api.host == "here"


def test_empty_variable_is_not_set(folder: Folder) -> None:
    assert folder.load("api: {port: 9}", API_PORT=" ").api.port == 9


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"API_PORT": "x"}, "API_PORT: must be a whole number, got 'x'"),
        ({"API_PORT": "-1"}, "API_PORT: must be between 0 and 65535, got -1"),
        (
            {"WHISPERX_COMPUTE_TYPE": "float16"},
            "WHISPERX_COMPUTE_TYPE: float16 needs a GPU; use int8 on device cpu",
        ),
        (
            {"WHISPERX_DEVICE": "cuba"},
            "WHISPERX_DEVICE: must be one of cpu, cuda, auto, got 'cuba'; did you mean cuda?",
        ),
    ],
)
def test_complaint_names_the_variable(folder: Folder, environ: dict[str, str], line: str) -> None:
    assert folder.problems("", **environ) == [line]


# --- settings that do not go together -----------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "blamed"),
    [
        ({}, []),
        ({"device": "cuda", "compute_type": "float16"}, []),
        ({"device": "cpu", "compute_type": "int8_float16"}, ["compute_type"]),
        ({"model_size": "base.en", "language": "auto"}, []),
        ({"model_size": "base.en", "language": "de"}, ["language"]),
        ({"model_size": "turbo", "language": "yue"}, []),
        ({"model_size": "large-v2", "language": "yue"}, ["language"]),
        ({"model_size": "/models/anything", "language": "yue"}, []),
    ],
)
def test_conflicts(settings: dict[str, str], blamed: list[str]) -> None:
    found = settings_conflicts(WhisperxConfig.model_validate(settings))
    assert [keys[0] for keys, _ in found] == blamed


def test_a_secret_that_is_set_to_nothing_is_refused_and_none_is_shown(folder: Folder) -> None:
    rule = "must not be empty; remove the line to do without"
    assert folder.problems("api: {key: ''}") == [f"api.key: {rule}"]
    assert folder.problems("", API_KEY=" ") == [f"API_KEY: {rule}"]
    assert folder.problems("callbacks: {secret: ''}") == [f"callbacks.secret: {rule}"]
    assert "12345" not in "".join(folder.problems("api: {key: 12345}"))


def test_a_user_needs_a_password_and_the_other_way_round(folder: Folder) -> None:
    line = "is needed too: api.user and api.password are set together or not at all"
    assert folder.problems("api: {user: office}") == [f"api.password: {line}"]
    assert folder.problems("", API_PASSWORD="x") == [f"api.user: {line}"]
    assert folder.load("api: {user: office}", API_PASSWORD="x").api.password == "x"


@pytest.mark.parametrize(
    "origin",
    ["", "notes.example.com", "https://a.example/", "https://a.example/x", "https://*.example",
     "null", "https://", "https://a b", "a://b,c://d"],
)  # fmt: skip
def test_an_origin_is_an_address_without_a_path(folder: Folder, origin: str) -> None:
    [line] = folder.problems(f'api: {{cors_origins: ["{origin}"]}}')
    assert line.startswith("api.cors_origins.0: must be the address of a site without a path")


def test_origins_of_sites_and_apps_are_taken(folder: Folder) -> None:
    given = "[app://obsidian.md, 'https://Notes.example.com:8443', 'http://[::1]:3000']"
    known = ("app://obsidian.md", "https://notes.example.com:8443", "http://[::1]:3000")
    assert folder.load(f"api: {{cors_origins: {given}}}").api.cors_origins == known
    every = folder.load("api: {cors_origins: ['*'], key: secret}").api
    assert every.cors_origins == ("*",)


@pytest.mark.parametrize("rate", ["120", "0/minute", "1/fortnight", "1 / minute"])
def test_a_rate_limit_is_a_number_and_a_span(folder: Folder, rate: str) -> None:
    assert "120/minute" in folder.problems(f"api: {{rate_limit: '{rate}'}}")[0]
    assert folder.load("api: {rate_limit: 5/second}").api.rate_limit == "5/second"


@pytest.mark.parametrize(
    "name",
    ["", " ", ".", "a..b", "https://a.example", "a.example:80", "a/b", "*.a.example", "[::1]",
     "ö.example", "a b", "a" * 64, "a." * 200],
)  # fmt: skip
def test_a_trusted_host_is_a_name_and_nothing_else(folder: Folder, name: str) -> None:
    [line] = folder.problems(f'api: {{trusted_hosts: [ok.example, "{name}"]}}')
    rule = "must be a name such as office.example.com, without http:// or a port, got '"
    assert line.startswith(f"api.trusted_hosts.1: {rule}")


def test_the_case_of_a_trusted_host_and_its_last_dot_are_forgiven(folder: Folder) -> None:
    names = folder.load("api: {trusted_hosts: [Office.Example.com, a_b.example.]}").api
    assert names.trusted_hosts == ("office.example.com", "a_b.example")


def test_turbo_cannot_translate(folder: Folder) -> None:
    problems = folder.problems("whisperx: {model_size: turbo, task: translate}")
    assert "cannot translate" in problems[0]


# --- settings beside recordings -----------------------------------------------------------------


def test_every_setting_can_be_stated_beside_a_recording(folder: Folder) -> None:
    everything = folder.load().default_settings().model_dump()
    assert check_settings(yaml.safe_dump(everything).encode()) == (everything, [])


def test_settings_are_checked_as_the_configuration_is(folder: Folder) -> None:
    for line in ("beam_size: 99", "temperature: two", "vad_method: x", "diarize: maybe", "task: t"):
        stated, problems = check_settings(f"{line}\nlanguage: EN".encode())
        assert stated == {"language": "en"}, "what is right in it is known all the same"
        ours = [said for _, said in problems]
        theirs = folder.problems(f"whisperx:\n  {line}")
        assert ours == [said.removeprefix("whisperx.") for said in theirs]


def test_numbers_that_nobody_can_print_are_complained_of(folder: Folder) -> None:
    digits = "f" * 20_000
    assert folder.problems(f"api: {{port: 0x{digits}}}") == [
        "api.port: must be between 0 and 65535, got a number with thousands of digits"
    ]
    assert "cannot read" in folder.problems("whisperx: {temperature: " + "1:" * 900 + "1.5}")[0]


@pytest.mark.parametrize(
    "section",
    [{"url": "redis://:s3cret@"}, {"url": "http://me:s3cret@host"}, "redis://:s3cret@host"],
)
def test_no_message_shows_the_password_in_an_address(tmp_path: Path, section: object) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"handover": section}), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(file, {})
    assert "handover" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        load_config(None, {"CONFIG_PATH": str(file), "HANDOVER_URL": "redis//:s3cret@host"})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://me:s3cret@model.example", "https://model.example/v1?key=s3cret", "http://x:99999/",
     "http://x:0", "http://[::1/"],
)  # fmt: skip
def test_an_address_that_cannot_be_is_refused_without_its_password(
    tmp_path: Path, url: str
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"summary": {"base_url": url, "model": "m"}}), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"summary\.base_url: must be an address") as caught:
        load_config(file, {})
    assert "s3cret" not in str(caught.value)


def test_a_summary_needs_a_model(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("summary: {base_url: http://localhost:11434}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"summary\.model: is needed too"):
        load_config(file, {})
