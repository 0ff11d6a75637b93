// What the page says, in English and Russian. A value with forms is chosen by the number {n}.

const EN = {
  title: "Transcripts", list: "Recordings", search: "Find a recording or a word  /", language: "Русский",
  languageCode: "RU", themeDark: "Dark colours", themeLight: "Light colours",
  choose: "Choose files", orDrop: " or drop them here; folders too",
  now: "Now", today: "Today", yesterday: "Yesterday", failedGroup: "Not transcribed", ignoredGroup: "Not recordings", skippedGroup: "Skipped",
  pause: "Pause", resume: "Go on", pausedNote: "The queue is paused: nothing more is started.",
  loading: "the model is being loaded", next: "next",
  ahead: { one: "{n} recording goes first", other: "{n} recordings go first" },
  left: "{time} left", ready: "done in {time}", goesOn: "waits, goes on at {at}", waits: "waits",
  voices: { one: "{n} voice", other: "{n} voices" }, doubtfulTag: "{time} to check", failedTag: "failed",
  ignoredTag: "not a recording", skippedTag: "has subtitles already", noRecordings: "No recording has such a name.", more: "Show more", tooMany: { one: "{n} more; find it by its name", other: "{n} more; find them by name" },
  loadingList: "Reading the folder…",
  inTexts: "In the texts", nothingFound: "Nothing was found, neither in names nor in texts.",
  hitCount: { one: "{n} place in the texts", other: "{n} places in the texts" },
  moreHits: { one: "{n} place in all. One more word narrows the search.", other: "{n} places in all. One more word narrows the search." },
  manyHits: "More than {n} places. One more word narrows the search.",
  pending: { one: "{n} recording is still being indexed; its words will be found soon.", other: "{n} recordings are still being indexed; their words will be found soon." },
  emptyTitle: "Drop a recording here, and its text will appear",
  emptyText: "Or copy audio and video into the shared folder: they are found by themselves.", staysHere: "Nothing leaves this machine.", goesTo: "Finished texts are sent to {hosts}.",
  pickTitle: "Choose a recording", pickText: "Its text opens here. A click on a word plays from there.",
  copyText: "Copy text", copied: "Copied", download: "Download", more_: "More", delete: "Delete recording and text…",
  deleteAsk: "Delete “{name}” with its text?", deleteText: "The recording itself is deleted too. This cannot be undone.",
  deleteYes: "Delete", cancel: "Cancel", first: "Do this one first", keys: "Keys",
  original: "The recording", readyAt: "done {day} at {time}", back: "All recordings",
  play: "Play", stop: "Pause", backFive: "Back 5 s", onFive: "Forward 5 s", speed: "Speed",
  notPlayable: "This recording cannot be played here. Listen to it with a player on the computer.",
  preparing: "The sound is being prepared: {percent} %", soundLater: "The sound could not be prepared: the folder is full or cannot be written to. Press “Play” to try again.",
  noSound: "The recording is not there any more, so it cannot be played.",
  speech: "speech", silence: "silence", check: "to check", invented: "not said, left out",
  doubt: { one: "{n} place to check", other: "{n} places to check" }, doubtTime: " — about {time} of listening",
  checkThem: "Check ›", checkTitle: "Places to check", placeOf: "Place {number} of {of}", isRight: "It is right", correctIt: "Correct it", nextPlace: "Next",
  allChecked: "All doubtful places are checked.", correcting: "Text of this passage", saved: "Saved", saving: "Saving…", unsaved: "Not saved yet; tried again by itself", refused: "Not saved", dependsOn: "What was corrected later depends on this; undo that first.", tooManyEdits: "This text has too many corrections for one file. Save it, and go on in the saved file.", undo: "Undo", redo: "Do again",
  putBack: "Put back", speakerRename: "Name this voice", speakerAsk: "Who is “{name}”?", speakerName: "Name", speakerHint: "The name of another voice makes both one.", speakerHere: "Only in this passage", speakerAll: "Everywhere",
  replaceMenu: "Find and replace…", replaceTitle: "Find and replace", find: "Find", replaceBy: "Replace by", matchCase: "Same capitals", replaceAll: "Replace all",
  foundPlaces: { one: "{n} place", other: "{n} places" }, replaced: { one: "{n} place replaced", other: "{n} places replaced" },
  conflict: "Somebody else corrected this passage at the same time.", conflictGone: "The passage that you corrected is not there any more.", mine: "Yours", theirs: "Theirs", keepMine: "Keep mine", keepTheirs: "Keep theirs",
  changedMeanwhile: "Somebody else changed this passage meanwhile; the text shows what is there now.", uncorrected: "txt, before corrections",
  notApplied: { one: "{n} correction of an earlier transcript does not fit this one", other: "{n} corrections of an earlier transcript do not fit this one" },
  editsUnreadable: "The file with the corrections cannot be read. The text is shown without them; repair the file or move it away to go on correcting.",
  summary: "Summary", points: "Main points", decisions: "Decisions", tasks: "Tasks", questions: "Open questions", playFrom: "Play from {time}",
  summaryBy: "Made by {model} from the text; it may be wrong.", summaryWaiting: "A summary of this text will be made.", summaryMaking: "A summary of this text is being made…",
  summaryHeld: "A summary of this text waits: the server for summaries cannot be used at the moment.",
  summaryNone: "This text has no summary yet.", summaryMake: "Make a summary", summaryOld: "The text was corrected after this summary was made.", summaryRenew: "Make it anew", summaryNotRenewed: "It could not be made anew.",
  summaryFailed: "There is no summary of this text.", summary_truncated: "The model's server read only a part of the text. Whoever set the service up should enter the right size of its window.",
  summary_cut: "The model's answer was too long and was cut off.", summary_empty: "The model answered nothing.", summary_unusable: "The model's answer could not be read.",
  summary_refused: "The model's server refused this text.", summary_too_long: "The notes of all parts do not fit into the model's window.", summary_window_too_small: "The model's window is set too small.",
  droppedLine: "“{text}” — nobody said this; it was left out.",
  noText: "No speech was found in this recording.",
  speaker: "Voice {n}",
  runTitle: "Being transcribed", runText: "The text appears here as soon as it is done.",
  waitTitle: "Waits for its turn", waitText: "It starts by itself. You can have it done first.",
  failTitle: "This recording could not be transcribed", failMore: "What was tried", retry: "Try again", retried: "It will be tried again.",
  skippedTitle: "This recording was skipped", skippedText: "It has subtitles already: {file}.", skippedAnyway: "Transcribe it anyway",
  ignoredTitle: "This file is not a recording", ignoredText: "Its name looks like one, but inside is: {kind}. It was left where it is.",
  goneTitle: "There is no such recording", goneText: "It was deleted, renamed or moved.",
  away: "The service does not answer. This page tries again by itself.",
  problem: "That did not work: {why}",
  loginTitle: "Enter the key", loginText: "This service asks for a key. Whoever set it up knows it.",
  loginKey: "Key or password", loginWithUser: "With a user name", loginUser: "User name", loginGo: "Open", loginWrong: "That is not the key.", loginMany: "Too many wrong keys came from this address. Try again later.", logout: "Log out",
  uploading: "{percent} % uploaded", uploadFailed: "was not uploaded: {why}", dismiss: "Dismiss",
  uploadWaits: "{percent} % · connection lost, goes on by itself", uploadHeld: "{percent} % · tried again by itself: {why}", uploadLeft: "not fully uploaded; choose or drop the file again, and it goes on",
  uploadUnreadable: "the file cannot be read any more",
  keyTable: [["Space", "play, pause"], ["J  L", "5 seconds back, forward"], ["[  ]", "slower, faster"], ["D  Shift+D", "next, previous place to check"], ["Enter", "at such a place: it is right; elsewhere: correct"], ["E", "correct; a double click does too"], ["Enter  Esc", "while typing: done"], ["Shift+Enter", "while typing: begin a new passage here"], ["Ctrl+Space", "while typing: play, pause"], ["Ctrl+Z  Ctrl+Shift+Z", "undo, do again"], ["/", "find a recording or a word"], ["?", "these keys"]],
  noLive: "No live text here", speak: "Speak", liveTitle: "Speak, and the text appears", liveText: "The words come while you speak. When you stop, the recording lies in the list with its whole text.",
  liveLanguage: "Language", liveAuto: "Detected by itself", liveStart: "Start", liveStop: "Stop", liveAgain: "Speak again", liveOn: "You are heard", liveUnheard: "You are not heard", liveAsking: "May the page use the microphone?", liveConnecting: "Connecting…", liveEnding: "The rest is being written…", liveFailed: "Not recorded any more",
  liveLevel: "Loudness", liveNothing: "Nothing was said yet.", liveWaiting: "The service does not answer. Go on speaking: your words are kept and sent when it is back.", liveSuspended: "The browser is not listening at the moment. Press the button to go on.", liveNoSound: "No sound came from the microphone, so nothing was stored.",
  liveBehind: { one: "The text is {n} s behind; nothing is lost.", other: "The text is {n} s behind; nothing is lost." },
  liveInsecure: "Browsers allow the microphone only to pages on https, or opened on the very machine on which the service runs. Ask whoever set it up for an https address.",
  micRefused: "The browser does not let this page use the microphone. Allow it beside the address, then speak again.", micMissing: "There is no microphone on this computer.", micBroken: "The microphone cannot be used at the moment. Perhaps another program has it.",
  liveRow: "You are speaking", liveFull: "As many people speak as this machine can follow. Try again in a moment.",
  workers: { one: "{n} worker", other: "{n} workers" }, workersNone: "No worker is there at the moment", workersWhich: "{name}, since\u00a0{time}", since: "since\u00a0{time}",
  workersBusy: "{n} busy", workersStarting: "{n} starting", workersHeld: "{n} held up", workersLost: "{n} lost",
  workerOff: "not started", workerStarting: "starting", workerLoading: "loading its model", workerWaiting: "free", workerTranscribing: "busy", workerLive: "with live sessions", workerHeld: "held up", workerLost: "lost",
  onWorker: "on {name}", runOn: "On {name}, since {time}.",
  close: "Close", s: "{n} s", min: "{n} min", h: "{n} h", hMin: "{h} h {m} min",
};

const RU = {
  title: "Расшифровки", list: "Записи", search: "Найти запись или слово  /", language: "English",
  languageCode: "EN", themeDark: "Тёмная тема", themeLight: "Светлая тема",
  choose: "Выберите файлы", orDrop: " или перетащите их сюда, можно папками",
  now: "Сейчас", today: "Сегодня", yesterday: "Вчера", failedGroup: "Не расшифрованы", ignoredGroup: "Не записи", skippedGroup: "Пропущены",
  pause: "Пауза", resume: "Продолжить", pausedNote: "Очередь на паузе: новые записи не начинаются.",
  loading: "загружается модель", next: "следующая",
  ahead: { one: "впереди {n} запись", few: "впереди {n} записи", many: "впереди {n} записей", other: "впереди {n} записи" },
  left: "ещё {time}", ready: "готова через {time}", goesOn: "ждёт, продолжит с {at}", waits: "ждёт",
  voices: { one: "{n} голос", few: "{n} голоса", many: "{n} голосов", other: "{n} голоса" }, doubtfulTag: "проверить {time}", failedTag: "не получилось",
  ignoredTag: "не запись", skippedTag: "субтитры уже есть", noRecordings: "Записей с таким именем нет.", more: "Показать ещё", tooMany: { one: "Ещё {n}; найдите её по имени", few: "Ещё {n}; найдите их по имени", many: "Ещё {n}; найдите их по имени", other: "Ещё {n}; найдите их по имени" },
  loadingList: "Читаю папку…",
  inTexts: "В текстах", nothingFound: "Ничего не нашлось: ни в именах, ни в текстах.",
  hitCount: { one: "В текстах — {n} место", few: "В текстах — {n} места", many: "В текстах — {n} мест", other: "В текстах — {n} места" },
  moreHits: { one: "Всего {n} место. Уточните запрос ещё одним словом.", few: "Всего {n} места. Уточните запрос ещё одним словом.", many: "Всего {n} мест. Уточните запрос ещё одним словом.", other: "Всего {n} места. Уточните запрос ещё одним словом." },
  manyHits: "Больше {n} мест. Уточните запрос ещё одним словом.",
  pending: { one: "Текст ещё {n} записи пока не просмотрен: поиск скоро дойдёт и до него.", few: "Тексты ещё {n} записей пока не просмотрены: поиск скоро дойдёт и до них.", many: "Тексты ещё {n} записей пока не просмотрены: поиск скоро дойдёт и до них.", other: "Тексты ещё {n} записи пока не просмотрены: поиск скоро дойдёт и до них." },
  emptyTitle: "Перетащите запись сюда — и появится её текст",
  emptyText: "Или скопируйте аудио и видео в общую папку: программа найдёт их сама.", staysHere: "Записи и тексты не покидают этот компьютер.", goesTo: "Готовые тексты отправляются на {hosts}.",
  pickTitle: "Выберите запись", pickText: "Здесь откроется её текст. Щёлкните слово — и услышите его.",
  copyText: "Копировать текст", copied: "Скопировано", download: "Скачать", more_: "Ещё", delete: "Удалить запись и текст…",
  deleteAsk: "Удалить «{name}» вместе с текстом?", deleteText: "Сама запись тоже будет удалена. Вернуть её нельзя.",
  deleteYes: "Удалить", cancel: "Отмена", first: "Расшифровать первой", keys: "Клавиши",
  original: "Сама запись", readyAt: "готово {day} в {time}", back: "Все записи",
  play: "Слушать", stop: "Пауза", backFive: "Назад на 5 с", onFive: "Вперёд на 5 с", speed: "Скорость",
  notPlayable: "Воспроизвести эту запись здесь не получается. Послушать её можно в проигрывателе на компьютере.",
  preparing: "Звук готовится: {percent} %", soundLater: "Подготовить звук не удалось: в папке нет места или в неё нельзя записывать. Нажмите «Слушать», чтобы попробовать ещё раз.",
  noSound: "Записи на месте уже нет, поэтому послушать её нельзя.",
  speech: "речь", silence: "тишина", check: "проверить", invented: "не сказано, убрано",
  doubt: { one: "Нужно проверить {n} место", few: "Нужно проверить {n} места", many: "Нужно проверить {n} мест", other: "Нужно проверить {n} места" }, doubtTime: " — около {time} прослушивания",
  checkThem: "Проверить ›", checkTitle: "Сомнительные места", placeOf: "Место {number} из {of}", isRight: "Верно", correctIt: "Исправить", nextPlace: "Дальше",
  allChecked: "Все сомнительные места проверены.", correcting: "Текст этого места", saved: "Сохранено", saving: "Сохраняется…", unsaved: "Пока не сохранено; сохранится само, когда появится связь", refused: "Не сохранено", dependsOn: "От этого зависят более поздние исправления: сначала отмените их.", tooManyEdits: "Исправлений слишком много для одного файла. Сохраните текст и продолжайте в сохранённом файле.", undo: "Отменить", redo: "Вернуть",
  putBack: "Вернуть в текст", speakerRename: "Назвать этот голос", speakerAsk: "Кто это — «{name}»?", speakerName: "Имя", speakerHint: "Если ввести имя другого голоса, оба станут одним.", speakerHere: "Только здесь", speakerAll: "Везде",
  replaceMenu: "Найти и заменить…", replaceTitle: "Найти и заменить", find: "Найти", replaceBy: "Заменить на", matchCase: "Учитывать регистр", replaceAll: "Заменить все",
  foundPlaces: { one: "{n} место", few: "{n} места", many: "{n} мест", other: "{n} места" }, replaced: { one: "Заменено {n} место", few: "Заменено {n} места", many: "Заменено {n} мест", other: "Заменено {n} места" },
  conflict: "Это место тем временем исправил кто-то ещё.", conflictGone: "Места, которое вы исправили, в тексте больше нет.", mine: "Ваш вариант", theirs: "Чужой вариант", keepMine: "Оставить мой", keepTheirs: "Оставить чужой",
  changedMeanwhile: "Это место уже изменил кто-то другой; показан нынешний текст.", uncorrected: "txt, до исправлений",
  notApplied: { one: "{n} исправление прежней расшифровки не подошло к новой", few: "{n} исправления прежней расшифровки не подошли к новой", many: "{n} исправлений прежней расшифровки не подошли к новой", other: "{n} исправления прежней расшифровки не подошли к новой" },
  editsUnreadable: "Файл с исправлениями не читается. Текст показан без них; чтобы исправлять дальше, почините или уберите файл.",
  summary: "Резюме", points: "Главное", decisions: "Решения", tasks: "Поручения", questions: "Открытые вопросы", playFrom: "Слушать с {time}",
  summaryBy: "Составлено моделью {model} по тексту; возможны ошибки.", summaryWaiting: "Скоро здесь появится резюме этого текста.", summaryMaking: "Составляется резюме…",
  summaryHeld: "Резюме появится позже: сервер, который его составляет, сейчас недоступен.",
  summaryNone: "У этого текста пока нет резюме.", summaryMake: "Составить резюме", summaryOld: "Текст исправляли уже после того, как было составлено это резюме.", summaryRenew: "Составить заново", summaryNotRenewed: "Составить его заново не удалось.",
  summaryFailed: "Составить резюме этого текста не удалось.", summary_truncated: "Сервер модели прочитал только часть текста. Тому, кто настраивал службу, нужно указать настоящий размер окна модели.",
  summary_cut: "Ответ модели оказался слишком длинным и оборвался.", summary_empty: "Модель ничего не ответила.", summary_unusable: "Ответ модели не удалось разобрать.",
  summary_refused: "Сервер модели отказался обрабатывать этот текст.", summary_too_long: "Заметки обо всех частях не помещаются в окно модели.", summary_window_too_small: "Для модели задано слишком маленькое окно.",
  droppedLine: "«{text}» — этого никто не говорил, строка убрана.",
  noText: "Речи в этой записи не нашлось.",
  speaker: "Голос {n}",
  runTitle: "Расшифровывается", runText: "Текст появится здесь, как только будет готов.",
  waitTitle: "Ждёт своей очереди", waitText: "Начнётся сама. Можно сделать её первой.",
  failTitle: "Эту запись расшифровать не удалось", failMore: "Что было сделано", retry: "Попробовать ещё раз", retried: "Будет ещё одна попытка.",
  skippedTitle: "Эта запись пропущена", skippedText: "Субтитры у неё уже есть: {file}.", skippedAnyway: "Всё равно расшифровать",
  ignoredTitle: "Этот файл — не запись", ignoredText: "По имени похож, но внутри — {kind}. Файл остался на месте.",
  goneTitle: "Такой записи нет", goneText: "Её удалили, переименовали или переместили.",
  away: "Служба не отвечает. Страница сама попробует ещё раз.",
  problem: "Не получилось: {why}",
  loginTitle: "Введите ключ", loginText: "Служба просит ключ. Его знает тот, кто её настроил.",
  loginKey: "Ключ или пароль", loginWithUser: "С именем пользователя", loginUser: "Имя пользователя", loginGo: "Открыть", loginWrong: "Ключ не подошёл.", loginMany: "С этого адреса пришло слишком много неверных ключей. Попробуйте позже.", logout: "Выйти",
  uploading: "загружено {percent} %", uploadFailed: "не загрузилась: {why}", dismiss: "Убрать",
  uploadWaits: "{percent} % · связи нет, загрузка продолжится сама", uploadHeld: "{percent} % · попытка повторится сама: {why}", uploadLeft: "загружена не до конца; выберите или перетащите файл ещё раз — загрузка продолжится",
  uploadUnreadable: "файл больше не читается",
  keyTable: [["Пробел", "слушать, пауза"], ["J  L", "на 5 секунд назад, вперёд"], ["[  ]", "медленнее, быстрее"], ["D  Shift+D", "к следующему, предыдущему сомнительному месту"], ["Enter", "на сомнительном месте — верно, на остальных — исправить"], ["E", "исправить; можно и двойным щелчком"], ["Enter  Esc", "при вводе: готово"], ["Shift+Enter", "при вводе: начать здесь новый фрагмент"], ["Ctrl+Пробел", "при вводе: слушать, пауза"], ["Ctrl+Z  Ctrl+Shift+Z", "отменить, вернуть"], ["/", "найти запись или слово"], ["?", "эти клавиши"]],
  noLive: "Текст по ходу речи здесь недоступен", speak: "Говорить", liveTitle: "Говорите — и появится текст", liveText: "Слова появляются, пока вы говорите. Когда вы закончите, запись окажется в списке вместе с полным текстом.",
  liveLanguage: "Язык", liveAuto: "Определится сам", liveStart: "Начать", liveStop: "Закончить", liveAgain: "Говорить ещё", liveOn: "Вас слышно", liveUnheard: "Вас не слышно", liveAsking: "Можно странице пользоваться микрофоном?", liveConnecting: "Соединение…", liveEnding: "Дописывается остаток…", liveFailed: "Запись прервана",
  liveLevel: "Громкость", liveNothing: "Пока ничего не сказано.", liveWaiting: "Служба не отвечает. Продолжайте говорить: слова сохранятся и уйдут, когда она ответит.", liveSuspended: "Сейчас браузер не слушает микрофон. Чтобы продолжить, нажмите кнопку.", liveNoSound: "С микрофона не поступило ни звука, сохранять было нечего.",
  liveBehind: { one: "Текст отстаёт на {n} с; ничего не потеряется.", few: "Текст отстаёт на {n} с; ничего не потеряется.", many: "Текст отстаёт на {n} с; ничего не потеряется.", other: "Текст отстаёт на {n} с; ничего не потеряется." },
  liveInsecure: "Браузеры дают микрофон только страницам с https или открытым на том же компьютере, где работает служба. Попросите адрес с https у того, кто её настроил.",
  micRefused: "Браузер не даёт этой странице микрофон. Разрешите его рядом с адресом и начните ещё раз.", micMissing: "На этом компьютере нет микрофона.", micBroken: "Сейчас микрофоном воспользоваться нельзя. Возможно, он занят другой программой.",
  liveRow: "Вы говорите", liveFull: "Одновременно говорит столько людей, за сколькими эта машина может успеть. Попробуйте чуть позже.",
  workers: { one: "{n} обработчик", few: "{n} обработчика", many: "{n} обработчиков", other: "{n} обработчика" }, workersNone: "Сейчас нет ни одного обработчика", workersWhich: "{name}, с\u00a0{time}", since: "с\u00a0{time}",
  workersBusy: { one: "занят {n}", other: "заняты {n}" }, workersStarting: { one: "запускается {n}", other: "запускаются {n}" }, workersHeld: { one: "не работает {n}", other: "не работают {n}" }, workersLost: { one: "потерян {n}", other: "потеряны {n}" },
  workerOff: "не запущен", workerStarting: "запускается", workerLoading: "загружает модель", workerWaiting: "свободен", workerTranscribing: "занят", workerLive: "обслуживает живые сеансы", workerHeld: "не работает", workerLost: "потерян",
  onWorker: "на {name}", runOn: "Расшифровывается на {name} с\u00a0{time}.",
  close: "Закрыть", s: "{n} с", min: "{n} мин", h: "{n} ч", hMin: "{h} ч {m} мин",
};

const ALL = { en: EN, ru: RU };
const KEPT = "transcriber.language";

let language = localStorage.getItem(KEPT) ?? document.documentElement.lang;
if (!(language in ALL)) language = "en";
let plural = new Intl.PluralRules(language);
document.documentElement.lang = language;

export const languageNow = () => language;

/** With the habits of the reader's country, where the browser knows them. */
const locale = () => navigator.languages.find((each) => each.startsWith(language)) ?? (language === "en" ? "en-GB" : language);

export function chooseLanguage(code) {
  language = code;
  plural = new Intl.PluralRules(code);
  localStorage.setItem(KEPT, code);
  document.documentElement.lang = code;
}

/** The words for a key, with {names} filled in. */
export function say(key, values = {}) {
  let text = ALL[language][key] ?? EN[key] ?? key;
  if (text && typeof text === "object" && !Array.isArray(text)) text = text[plural.select(values.n)] ?? text.other;
  if (typeof text !== "string") return text;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
}

/** About how long: "40 s", "3 min", "1 h 20 min". */
export function about(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return say("s", { n: whole });
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return say("min", { n: minutes });
  const [h, m] = [Math.floor(minutes / 60), minutes % 60];
  return m ? say("hMin", { h, m }) : say("h", { n: h });
}

/** As on a player: 3:07, 1:02:03. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds || 0));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n) => String(n).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** "Today", or inside of a sentence "today"; "31 January" in both. */
export function dayOf(iso, inside = false) {
  const day = new Date(iso), now = new Date();
  const days = Math.round((new Date(now).setHours(0, 0, 0, 0) - new Date(day).setHours(0, 0, 0, 0)) / 86_400_000);
  if (days === 0 || days === 1) {
    const word = say(days ? "yesterday" : "today");
    return inside ? word.toLocaleLowerCase(language) : word;
  }
  const year = day.getFullYear() === now.getFullYear() ? undefined : "numeric";
  return new Intl.DateTimeFormat(locale(), { day: "numeric", month: "long", year }).format(day);
}

export const timeOf = (iso) => new Intl.DateTimeFormat(locale(), { hour: "2-digit", minute: "2-digit" }).format(new Date(iso));

export function languageName(code) {
  try {
    return new Intl.DisplayNames([language], { type: "language" }).of(code) ?? code;
  } catch {
    return code;
  }
}
