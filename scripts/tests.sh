# The parts of ./test: what runs of a project, how it is started, what came of it. Sourced after common.sh.
# $category is what ./test was asked for, $only one project or nothing, $work a folder that the user postgres can read,
# $results where reports go.

# The words before a command that leaves the processors to the others: to all of it, and not for good.
yield=(nice -n 5)

# Whether a pattern stands in the sources of a project.
has() { grep -rqE --include='*.cs' "$2" "tests/$1"; }

# Prints what a project needs of what ./build makes: packages, programs or nothing.
needs() {
    if has "$1" '\bPrograms\.Sample\b'; then
        echo packages
    elif has "$1" '\b(Programs\.[A-Z]|TestCluster\b|ClusterFixture\b|ProxyProcess\b)'; then
        echo programs
    fi
}

# Whether everything is built that a project needs: $built lists what is. In the category unit tests start the programs
# that stand beside them.
may_start() {
    local needed
    needed=$(needs "$1")
    [ -z "$needed" ] || [ "$category" = unit ] || [[ " $built " == *" $needed "* ]]
}

# Prints "server" for a project that starts servers, and "quiet" for one that only computes.
kind() {
    if [ -n "$(needs "$1")" ] || has_category "$1" '(Integration|Faults)'; then echo server; else echo quiet; fi
}

# Whether a project has tests that measure time: they run last, when nothing else is left to do.
has_last() { has "$1" 'Trait\("Runs", *"Last"\)'; }

has_category() { has "$1" "Trait\(\"Category\", *\"$2\"\)"; }

# Prints xunit's query for a project in the chosen category, or fails when the project has nothing there.
# $2 is "first" for what may run beside everything else, and "last" for the rest.
query() {
    local name=$1 query=
    [ -z "$only" ] || [ "$name" = "$only" ] || return 1
    case $category-$name in
        unit-Integration.Tests | unit-Faults.Tests | unit-Samples.Tests | integration-Faults.Tests) return 1 ;;
        unit-*) query='(Category!=Integration)&(Category!=Faults)' ;;
        integration-Integration.Tests) query='(Category!=Faults)' ;;
        integration-*) has_category "$name" Integration || return 1; query='(Category=Integration)' ;;
        faults-*) has_category "$name" Faults || return 1; query='(Category=Faults)' ;;
    esac
    if [ "$2" = last ]; then
        has_last "$name" || return 1
        query="${query:+$query&}(Runs=Last)"
    else
        query="${query:+$query&}(Runs!=Last)"
    fi
    printf '/[%s]\n' "$query"
}

# Runs what the query selects of a project. The output goes to $results/$2.log, the report to $results/$2.xml, and the
# exit code with the seconds that it took to $results/$2.end.
# $1 is the project, $2 the name of this run; what follows is xunit's selection.
run_project() {
    local name=$1 run=$2 started=$SECONDS code=0 program=$PWD/artifacts/build/bin/$1/release yielding=()
    # A program that waits most of the time wins nothing by measuring its code before it is compiled for good.
    local measures=0
    shift 2
    # Those that only compute have clocks that are made up: they have time, and compute for long.
    [ "$(kind "$name")" = server ] || { yielding=("${yield[@]}") measures=1; }
    if [ ${#AS_POSTGRES[@]} != 0 ]; then
        [ -e "$work/$name" ] || cp -r "$program" "$work/$name"   # the user postgres need not see the checkout
        program=$work/$name
    fi
    (cd "$work" && HOME=$work DOTNET_TieredPGO=$measures exec "${yielding[@]}" "${inside[@]}" \
        timeout -k 30 "$limit" "${AS_POSTGRES[@]}" \
        dotnet "$program/Routing.$name.dll" -noLogo -noColor -noAutoReporters -reporter quiet -longRunning 120 \
        -result-xml "$work/$run.xml" "$@" </dev/null) \
        >"$results/$run.log" 2>&1 || code=$?
    [ ! -e "$work/$run.xml" ] || cp "$work/$run.xml" "$results/$run.xml"
    echo "$code $((SECONDS - started))" >"$results/$run.end"
}

# Prints for how many hundredths of a second the processors of this computer have worked since it was started.
processor_time() { awk '/^cpu / { print $2 + $3 + $4 + $7 + $8; exit }' /proc/stat; }

# The number that a report has for an attribute; 0 without a report.
count() {
    local number
    number=$(sed -n "s/.*<assembly [^>]*[ ]$2=\"\([0-9]*\)\".*/\1/p" "$results/$1.xml" 2>/dev/null | head -n 1)
    echo "${number:-0}"
}

# Prints the failed tests of an output: each with its message and where it happened.
failed_tests() {
    awk '/^    [^ ].* \[FAIL\]$/ || /Cleanup Failure \(/ { on = 1; lines = 0 }
         /^ ? ? ? ?[^ ]/ && !/\[FAIL\]$/ && !/Cleanup Failure \(/ { on = 0 }
         on && lines++ < 120 { print substr($0, 1, 260) }' "$results/$1.log"
}

# Adds a run that has ended to the counts, and prints one line about it, and what failed in it.
# $1 is the project, $2 the name of this run.
tally() {
    local name=$1 run=$2 code seconds p f s problem='' details
    read -r code seconds <"$results/$run.end"
    p=$(count "$run" passed) s=$(count "$run" skipped) f=$(($(count "$run" failed) + $(count "$run" errors)))
    if [ "$code" = 124 ] || [ "$code" = 137 ]; then
        problem="stopped after $limit s"
    elif [ ! -s "$results/$run.xml" ]; then
        problem="ended with exit code $code and without a report"
    elif [ $((p + f + s)) = 0 ] && [ "$run" = "$name" ] && has_last "$name"; then
        return 0   # all that was asked for runs last
    elif [ $((p + f + s)) = 0 ] && [ "$run" = "$name-last" ] && [ "$category" != all ]; then
        return 0   # what runs last here belongs to another category
    elif [ "$code" != 0 ] && [ "$f" = 0 ]; then
        problem="ended with exit code $code although no test failed"
    elif [ $((p + f + s)) = 0 ]; then
        problem="ran no test"
    fi
    if [ -n "$problem" ]; then
        problem=": $problem, counted as one failure"
        f=$((f + 1))
    fi
    say "== $run: $p passed, $f failed, $s skipped in $seconds s"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    [ "$f" != 0 ] || return 0
    details=$(failed_tests "$run")
    [ -n "$problem" ] || repeatable+=("$name $run ${#failures[@]}")
    # A program that died before it could report says why in its last lines.
    [ -n "$details" ] || details=$(tail -n 40 "$results/$run.log")
    failures+=("$run$problem"$'\n'"$details")
    printf '%s\n' "${failures[-1]}"
}

# The tests of a report with a result (Pass, Fail), a line for each case, by their methods as xunit's -method has them.
cases_of() {
    grep -oE '<test [^>]*>' "$results/$1.xml" | grep -E " result=\"$2\"" |
        sed -nE 's/.* type="([^"]*)".* method="([^"]*)".*/\1.\2/p' || true   # grep finds none
}

failed_methods() { cases_of "$1" Fail | sort -u; }
passed_methods() { cases_of "$1" Pass | sort -u; }

# Whether a failure may be put down to the machine: not in projects that know neither clock nor server, and not where
# it says that a guarantee was broken.
may_be_noise() {
    local name=$1 index=$2
    case $name in Cluster.Tests | Ha.Tests | Settings.Tests | Simulation.Tests) return 1 ;; esac
    # By what the test says itself: the logs behind it tell of races for the leader key that were lost.
    ! awk '/\[FAIL\]$/ { on = 1 } /^ *(Stack Trace|Output):/ { on = 0 } on' <<<"${failures[$index]}" |
        grep -ciE 'two primaries|second primary|acknowledged|\blost\b' >/dev/null   # reads to the end, for awk's sake
}

# Runs the few tests that failed once more, with nothing beside them. What passes then is unsteady: it no longer counts
# as failed, is named at the end, and has to be mended all the same. The first output stays in $results, and so does
# what is printed of it. With more than three failures nothing is repeated: that is no noise.
repeat_failed() {
    local entry name run index method cases methods again still
    [ "$failed" -gt 0 ] && [ "$failed" -le 3 ] || return 0
    for entry in "${repeatable[@]}"; do
        read -r name run index <<<"$entry"
        may_be_noise "$name" "$index" || continue
        mapfile -t methods < <(failed_methods "$run")
        [ ${#methods[@]} != 0 ] || continue
        again=()
        for method in "${methods[@]}"; do again+=(-method "$method"); done
        say "Once more, alone: ${methods[*]}"
        start "server $name $run-again" run_project "$name" "$run-again" "${again[@]}"
        wait "$!" || true
        running=()
        still=$(failed_methods "$run-again")
        for method in "${methods[@]}"; do
            if grep -qxF "$method" <<<"$still" || ! passed_methods "$run-again" | grep -qxF "$method"; then
                say "Failed again: $method; see artifacts/tests/$run-again.log"
                continue
            fi
            cases=$(cases_of "$run" Fail | grep -cxF "$method") || true
            passed=$((passed + cases)) failed=$((failed - cases))
            unsteady+=("$method")
        done
        [ -n "$still" ] || [ "$(passed_methods "$run-again" | wc -l)" -lt ${#methods[@]} ] || unset "failures[$index]"
    done
}

# One line about each failed test of all runs: its name, and what was wrong. Those that passed alone are left out.
short_failures() {
    local log line
    for log in "$results"/*.log; do
        case $log in *-again.log) continue ;; esac
        awk '/\[FAIL\]$/ { name = $0; sub(/^ +/, "", name); sub(/ \[FAIL\]$/, "", name); next }
             name != "" && NF {
                 sub(/^ +/, ""); print "    " substr(name, 1, 160) ": " substr($0, 1, 200); name = ""
             }' "$log"
    done | while IFS= read -r line; do
        grep -qxF "$(sed -E 's/^ +([A-Za-z0-9_.]+).*/\1/' <<<"$line")" < <(printf '%s\n' "${unsteady[@]}" none) ||
            printf '%s\n' "$line"
    done
}

# Prints the skipped tests of all reports, each with its reason.
skipped_tests() {
    local report
    for report in "$results"/*.xml; do
        [ -e "$report" ] || continue
        tr -d '\n' <"$report" | sed -E 's:<traits>(<trait [^>]*>)*</traits>::g' |
            grep -oE '<test [^>]*result="Skip"[^>]*> *<reason>(<!\[CDATA\[)?[^]<]*' |
            sed -E 's/.* name="([^"]*)".*<reason>(<!\[CDATA\[)?(.*)/    \1: \3/'
    done | plain_xml | sort || true   # grep finds none in most reports
}

# Replaces what XML has for some characters by themselves.
plain_xml() { sed 's/&quot;/"/g; s/&lt;/</g; s/&gt;/>/g; s/&amp;/\&/g'; }

# Prints the ten tests that took longest, over all reports.
slowest_tests() {
    local report
    for report in "$results"/*.xml; do
        [ -e "$report" ] || continue
        grep -oE '<test [^>]*>' "$report" |
            sed -nE -e 's/.* name="([^"]*)".* time="([0-9.]+)".*/\2 \1/p; t' \
                -e 's/.* time="([0-9.]+)".* name="([^"]*)".*/\1 \2/p'
    done | sort -rn | sed -n '1,10{s/^\([0-9]*\)\(\.[0-9]\)\{0,1\}[0-9]* \(.*\)/\1\2 s  \3/;p}' |
        plain_xml | sed 's/^/   /' || true   # a report without a test has nothing for grep
}
