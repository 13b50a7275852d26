namespace Routing.Agent.Postgres.Sessions;

/// <summary>
/// CREATE ROLE (or USER, GROUP) taken apart, so that the same wish can be applied to a role that exists.
/// </summary>
internal static class RoleStatement
{
    private const string In = "IN", Role = "ROLE", User = "USER", Group = "GROUP", Admin = "ADMIN", SysId =
        "SYSID", With = "WITH";

    /// <summary>
    /// The statements that give an existing role the attributes and memberships that the CREATE statement asks for;
    /// null when it is not such a statement.
    /// </summary>
    public static IReadOnlyList<string>? AsAlter(string statement)
    {
        var tokens = SqlText.Tokens(statement).Where(token => token.Kind != SqlTokenKind.Comment).ToList();
        if (tokens.Count < 3 || Word(0) != "CREATE" || Word(1) is not (Role or User or Group)
            || tokens[2].Kind is not (SqlTokenKind.Word or SqlTokenKind.QuotedName))
        {
            return null;
        }
        var name = Text(2);
        var attributes = new List<string>();
        var grants = new List<string>();
        // CREATE USER means LOGIN unless it says otherwise; ALTER ROLE knows no such default.
        if (Word(1) == User)
        {
            attributes.Add("LOGIN");
        }
        for (var at = 3; at < tokens.Count;)
        {
            switch (Word(at))
            {
                case With:
                    at++;
                    break;
                case SysId:
                    at += 2;
                    break;
                case In when at + 1 < tokens.Count && Word(at + 1) is Role or Group:
                    grants.AddRange(Names(at + 2, out at).Select(group => $"GRANT {group} TO {name}"));
                    break;
                case Role or User:
                    grants.AddRange(Names(at + 1, out at).Select(member => $"GRANT {name} TO {member}"));
                    break;
                case Admin:
                    grants.AddRange(
                        Names(at + 1, out at).Select(member => $"GRANT {name} TO {member} WITH ADMIN OPTION"));
                    break;
                default:
                    if (Word(at) is "NOLOGIN" or "LOGIN")
                    {
                        attributes.Remove("LOGIN");
                    }
                    attributes.Add(Text(at++));
                    break;
            }
        }
        return attributes.Count > 0 ? [$"ALTER ROLE {name} WITH {string.Join(' ', attributes)}", .. grants] : grants;

        string Text(int index) => statement[tokens[index].Start..tokens[index].End];

        string Word(int index) => tokens[index].Kind == SqlTokenKind.Word ? Text(index).ToUpperInvariant() : "";

        List<string> Names(int from, out int next)
        {
            var names = new List<string>();
            for (next = from; next < tokens.Count; next++)
            {
                if (Text(next) != ",")
                {
                    names.Add(Text(next));
                    if (next + 1 >= tokens.Count || Text(next + 1) != ",")
                    {
                        next++;
                        break;
                    }
                }
            }
            return names;
        }
    }
}
