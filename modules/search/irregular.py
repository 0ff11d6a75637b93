"""Forms that no stemmer brings together, each with the form that stands for all of them.

Of each language the commonest words. A form that belongs to two words is left out, or stands with
the more frequent one.
"""

from __future__ import annotations

_RUSSIAN = """
день дня дню днем дне дни дней дням днями днях
человек люди людей людям людьми людях
ребенок дети детей детям детьми детях
время времени временем времена времен временам временами временах
имя имени именем имена имен именам именами именах
деньги денег деньгам деньгами деньгах
письмо писем
сестра сестер
окно окон
число чисел
ветер ветра ветру ветром ветре ветры ветров
угол угла углу углом угле углы углов углам углами углах
рот рта рту ртом рте
лев льва льву львом льве львы львов
мать матери матерью матерей матерям матерями матерях
дочь дочери дочерью дочерей дочерям дочерями дочерях
друг друзья друзей друзьям друзьями друзьях
брат братья братьев братьям братьями братьях
сын сыновья сыновей сыновьям сыновьями сыновьях
стул стулья стульев стульям стульями стульях
лист листья листьев листьям листьями листьях
год лет
записи запись
подписи подпись
описи опись
переписи перепись
рукописи рукопись
надписи надпись
хороший лучше лучший лучшая лучшее лучшие лучшего лучшему лучшим лучших
плохой хуже худший худшая худшее худшие
большой больше больший большая большее большие
маленький меньше меньший меньшая меньшее меньшие
идти иду идешь идет идем идете идут шел шла шло шли иди идите
пойти пойду пойдешь пойдет пойдем пойдете пойдут пошел пошла пошло пошли
прийти приду придешь придет придем придете придут пришел пришла пришло пришли приди
уйти уйду уйдешь уйдет уйдем уйдете уйдут ушел ушла ушло ушли
найти найду найдешь найдет найдем найдете найдут нашел нашла нашло нашли
ехать еду едешь едет едем едете едут ехал ехала ехали
приехать приеду приедешь приедет приедем приедете приедут приехал приехала приехали
мочь могу можешь может можем можете могут мог могла могло могли
помочь помогу поможешь поможет поможем поможете помогут помог помогла помогли помогите
хотеть хочу хочешь хочет хотим хотите хотят хотел хотела хотели
сказать скажу скажешь скажет скажем скажете скажут скажи скажите сказал сказала сказали
писать пишу пишешь пишет пишем пишете пишут пиши пишите писал писала писали
платить плачу платишь платит платим платите платят платил платила платили
искать ищу ищешь ищет ищем ищете ищут искал искала искали
взять возьму возьмешь возьмет возьмем возьмете возьмут взял взяла взяли возьмите
дать дам дашь даст дадим дадите дадут дал дала дали дайте
быть буду будешь будет будем будете будут был была было были
"""

_ENGLISH = """
be am is are was were been being
have has had having
do does did done doing
go goes went gone going
say says said
make made makes making
get got gotten gets getting
see saw seen sees seeing
come came comes coming
take took taken takes taking
know knew known knows knowing
think thought thinks thinking
give gave given gives giving
find found finds finding
tell told tells telling
become became becomes
leave left leaves leaving
feel felt feels feeling
bring brought brings bringing
begin began begun begins beginning
keep kept keeps keeping
hold held holds holding
write wrote written writes writing
stand stood stands
hear heard hears hearing
mean meant means meaning
meet met meets
pay paid pays paying payed
speak spoke spoken speaks speaking
send sent sends sending
buy bought buys buying
sell sold sells selling
lose lost loses losing
spend spent spends spending
build built builds building
run ran runs running
sit sat sits sitting
win won wins winning
understand understood understands understanding
choose chose chosen chooses choosing
break broke broken breaks breaking
drive drove driven drives driving
eat ate eaten eats eating
fall fell fallen falls falling
fly flew flown flies flying
forget forgot forgotten forgets forgetting
grow grew grown grows growing
teach taught teaches teaching
catch caught catches catching
sleep slept sleeps sleeping
wear wore worn wears wearing
man men
woman women
child children
person people
foot feet
tooth teeth
mouse mice
goose geese
wife wives
life lives
knife knives
half halves
good better best
bad worse worst
"""

#: The first of its line, by each form.
BASES = {
    form: line.split()[0]
    for line in (_RUSSIAN + _ENGLISH).strip().splitlines()
    for form in line.split()
}
