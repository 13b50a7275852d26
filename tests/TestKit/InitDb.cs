namespace Routing.TestKit;

/// <summary>
/// Makes the clusters of tests: by initdb for the first with the same options, and by a copy of what that has made for
/// those after it, which takes a tenth of the processor time.
/// </summary>
/// <remarks>
/// All clusters of one test process with the same options have one system identifier. A test that is about initdb, or
/// about the data of another cluster, leaves <c>postgresql.bin_name.initdb</c> out.
/// </remarks>
public static class InitDb
{
    private static readonly Lazy<string> s_program = new(Write);

    /// <summary>The program, for <c>postgresql.bin_name.initdb</c>.</summary>
    public static string Program => s_program.Value;

    private static string Write()
    {
        var directory = new TempDirectory("initdb");
        AppDomain.CurrentDomain.ProcessExit += (_, _) => directory.Dispose();
        OrdinaryProcess.GiveAway(directory.Path);
        var program = directory["initdb.sh"];
        File.WriteAllText(program, $$"""
            #!/bin/sh
            # initdb, by a copy where it has run with the same options and the same password.
            set -e
            data= words=
            isNext=false
            for word; do
                if $isNext; then
                    data=$word isNext=false
                    continue
                fi
                case $word in
                    --pgdata) isNext=true ;;
                    --pwfile=*) words="$words $(cat "${word#--pwfile=}")" ;;
                    --waldir* | -X*) exec {{PostgresUnderTest.PathOf("initdb")}} "$@" ;;
                    *) words="$words $word" ;;
                esac
            done
            made={{directory.Path}}/$(printf '%s' "$words" | sha256sum | cut -c 1-32)
            if [ -n "$data" ] && [ -d "$made" ]; then
                mkdir -p "$data"
                exec cp -a "$made/." "$data"
            fi
            {{PostgresUnderTest.PathOf("initdb")}} "$@"
            [ -n "$data" ] || exit 0
            copy=$(mktemp -d {{directory.Path}}/copy-XXXXXX)
            cp -a "$data/." "$copy"
            # Another one may have been quicker.
            mv -T "$copy" "$made" 2>/dev/null || rm -rf "$copy"

            """);
        File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
            | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
        return program;
    }
}
