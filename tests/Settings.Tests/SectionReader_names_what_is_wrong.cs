using Xunit;

namespace Routing.Settings.Tests;

public class SectionReader_names_what_is_wrong
{
    private readonly SettingsReport _report = new();

    [Theory]
    [InlineData("x: abc", "a.yml:1: x: 'abc': must be a whole number from 1 to 10")]
    [InlineData("x: 0", "a.yml:1: x: '0': must be a whole number from 1 to 10")]
    [InlineData("x: '11'", "a.yml:1: x: '11': must be a whole number from 1 to 10")]
    [InlineData("x: 1.5", "a.yml:1: x: '1.5': must be a whole number from 1 to 10")]
    [InlineData("x: [1]", "a.yml:1: x: '(a list)': must be a whole number from 1 to 10")]
    public void A_wrong_number(string yaml, string message) =>
        Expect(yaml, reader => reader.Number("x", 1, 10), message);

    [Theory]
    [InlineData("x: maybe", "a.yml:1: x: 'maybe': must be on, off, true, false, yes, no, 1 or 0")]
    [InlineData("x: 2", "a.yml:1: x: '2': must be on, off, true, false, yes, no, 1 or 0")]
    public void A_wrong_boolean(string yaml, string message) => Expect(yaml, reader => reader.Boolean("x"), message);

    [Theory]
    [InlineData("x: 'on'", true)]
    [InlineData("x: off", false)]
    [InlineData("x: 'No'", false)]
    [InlineData("x: 1", true)]
    [InlineData("x: 'TRUE'", true)]
    [InlineData("y: 1", null)]
    public void A_boolean_in_every_form(string yaml, bool? expected) =>
        Assert.Equal(expected, Reader(yaml).Boolean("x"));

    [Theory]
    [InlineData("x: 0600", 384)]
    [InlineData("x: '0640'", 416)]
    [InlineData("x: '640'", 416)]
    [InlineData("x: '0o644'", 420)]
    [InlineData("x: 384", 384)]
    public void A_file_mode_in_every_form(string yaml, int expected) =>
        Assert.Equal(expected, Reader(yaml).FileMode("x"));

    [Theory]
    [InlineData("x: 01000")]
    [InlineData("x: '0999'")]
    [InlineData("x: rw")]
    public void A_wrong_file_mode(string yaml)
    {
        Reader(yaml).FileMode("x");

        Assert.EndsWith("must be octal digits from 0000 to 0777", Assert.Single(_report.Errors).ToString(),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("x: on", "a.yml:1: x: 'on': must be a text (a word such as on or yes needs quotes)")]
    [InlineData("x: {a: 1}", """a.yml:1: x: '(a mapping)': must be a text (a word such as on or yes needs quotes)""")]
    public void A_wrong_text(string yaml, string message) => Expect(yaml, reader => reader.Text("x"), message);

    [Theory]
    [InlineData("x: 10.0.0.1", "a.yml:1: x: '10.0.0.1': must be host:port with a port from 1 to 65535")]
    [InlineData("x: h:99999", "a.yml:1: x: 'h:99999': must be host:port with a port from 1 to 65535")]
    public void A_wrong_address(string yaml, string message) => Expect(yaml, reader => reader.Address("x"), message);

    [Fact]
    public void A_wrong_word() => Expect(
        "x: sometimes", reader => reader.Choice("x", ("off", 0), ("automatic", 1)),
        "a.yml:1: x: 'sometimes': must be one of off, automatic");

    [Fact]
    public void A_wrong_item_of_a_list() =>
        Expect("x:\n  - a\n  - {b: 1}\n", reader => reader.TextList("x"),
            """a.yml:3: x[1]: '(a mapping)': must be a text""");

    [Fact]
    public void A_wrong_value_of_a_map() => Expect(
        "x:\n  a: 1\n  b: [2]\n", reader => reader.TextMap("x"),
        "a.yml:3: x.b: '(a list)': must be a text, a number or a boolean");

    [Fact]
    public void A_missing_value() => Expect("y: 1", reader => reader.RequiredText("x"), "a.yml: x: is not defined.");

    [Fact]
    public void A_password_is_not_shown() => Expect(
        "password: on", reader => reader.Text("password"),
        "a.yml:1: password: must be a text (a word such as on or yes needs quotes)");

    [Fact]
    public void A_bare_off_is_the_word_off_where_a_word_is_wanted() =>
        Assert.Equal(1, Reader("mode: off").Choice("mode", ("off", 1), ("required", 2)));

    [Fact]
    public void Every_wrong_value_is_reported_at_once()
    {
        var reader = Reader("a: x\nb: y\n");

        reader.Number("a");
        reader.Boolean("b");
        reader.RequiredText("c");

        Assert.Equal(["a", "b", "c"], _report.Errors.Select(error => error.Path));
    }

    [Fact]
    public void Keys_that_nobody_asked_for_are_named()
    {
        var section = Reader("s:\n  known: 1\n  typo: 2\n").Section("s");
        section.Text("known");

        section.WarnUnknownKeys();

        Assert.Equal("a.yml:3: s.typo: this key is not known and has no effect",
            Assert.Single(_report.Warnings).ToString());
    }

    private void Expect(string yaml, Action<SectionReader> read, string message)
    {
        read(Reader(yaml));

        Assert.Equal(message, Assert.Single(_report.Errors).ToString());
    }

    private SectionReader Reader(string yaml) => new(YamlText.ReadMapping(yaml, "a.yml"), _report);
}
