using Routing.Dcs;
using Routing.Hosting.Discovery;
using Routing.Hosting.Sections;
using Xunit;

namespace Routing.Settings.Tests;

public class EtcdSection_says_how_to_reach_etcd
{
    private readonly SettingsReport _report = new();

    [Theory]
    [InlineData("host: h", "http://h:2379/")]
    [InlineData("host: h:1234", "http://h:1234/")]
    [InlineData("{host: h, protocol: https}", "https://h:2379/")]
    [InlineData("{hosts: 'a:1, b:2,c'}", "http://a:1/ http://b:2/ http://c:2379/")]
    [InlineData("{hosts: [a:1, b], port: 7, protocol: HTTPS}", "https://a:1/ https://b:7/")]
    [InlineData("{hosts: ['[::1]:2379']}", "http://[::1]:2379/")]
    [InlineData("{hosts: ['https://a:1']}", "https://a:1/")]
    [InlineData("{host: h, hosts: a:1}", "http://a:1/")]
    [InlineData("{hosts: a:1, url: 'https://u:9'}", "https://u:9/")]
    [InlineData("url: http://u", "http://u:2379/")]
    [InlineData("proxy: http://p:80", "http://p:80/")]
    [InlineData("srv: example.com", "")]
    public void The_endpoints(string section, string expected)
    {
        var options = Read($"etcd3:\n  {section}\n");

        Assert.Empty(_report.Errors);
        Assert.Equal(expected, string.Join(' ', options!.Endpoints.Select(uri => uri.Scheme == "http" && uri.Port == 80
            ? $"http://{uri.Host}:80/" : uri.ToString())));
    }

    [Fact]
    public void User_and_password_stand_in_the_URL_or_beside_it()
    {
        var inside = Read("etcd3: {url: 'http://me:p%40ss@h:1', username: other}\n")!;
        var beside = Read("etcd3: {host: h, username: me, password: 12}\n")!;

        Assert.Equal(("me", "p@ss", "http://h:1/"), (inside.Username, inside.Password, inside.Endpoints[0].ToString()));
        Assert.Equal(("me", "12"), (beside.Username, beside.Password));
    }

    [Fact]
    public void Certificates_proxies_and_discovery()
    {
        var options = Read("etcd3: {srv: d, srv_suffix: s, use_proxies: 'on', cacert: /ca, cert: /c, key: /k}\n")!;

        Assert.Equal(
            ((IEndpointSource?)new SrvEndpoints("d", "s"), true, "/ca", "/c", "/k"),
            (options.Source, options.UseProxies, options.CaFile, options.CertificateFile, options.KeyFile));
        Assert.True(Read("etcd3: {proxy: 'http://p:1'}\n")!.UseProxies);
    }

    [Fact]
    public void The_section_of_the_older_protocol_is_taken_with_a_warning()
    {
        var options = Read("etcd: {host: h}\n");

        Assert.Equal("http://h:2379/", Assert.Single(options!.Endpoints).ToString());
        Assert.Contains("protocol of etcd 3", Assert.Single(_report.Warnings).ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("scope: x\n", "a.yml: etcd3: is not defined.")]
    [InlineData("consul: {host: x}\n",
        """a.yml:1: consul: '(a mapping)': must be left out: only etcd (section etcd3) is supported as the DCS""")]
    [InlineData("etcd3: {username: x}\n", "a.yml:1: etcd3.hosts: is not defined.")]
    [InlineData("etcd3: {hosts: []}\n",
        "a.yml:1: etcd3.hosts: '(a list)': must be a list of host:port, or host:port separated by commas")]
    [InlineData("etcd3:\n  hosts:\n    - a:1\n    - b:x\n",
        "a.yml:4: etcd3.hosts[1]: 'b:x': must be host or host:port with a port from 1 to 65535")]
    [InlineData(
        "etcd3: {url: 'h:1'}\n", "a.yml:1: etcd3.url: 'h:1': must be a URL such as http://user:password@host:2379")]
    [InlineData("etcd3: {host: h, protocol: ftp}\n", "a.yml:1: etcd3.protocol: 'ftp': must be one of http, https")]
    [InlineData("etcd3: {host: h, key: /k}\n", "a.yml:1: etcd3.key: '/k': must be left out, or stand beside a cert")]
    public void What_is_wrong_is_named(string yaml, string message)
    {
        Read(yaml);

        Assert.Equal(message, Assert.Single(_report.Errors).ToString());
    }

    [Fact]
    public void Unknown_keys_are_named()
    {
        Read("etcd3: {host: h, hostz: x}\n");

        Assert.Equal("etcd3.hostz", Assert.Single(_report.Warnings).Path);
    }

    private Dcs.EtcdOptions? Read(string yaml) =>
        EtcdSection.Read(new SectionReader(YamlText.ReadMapping(yaml, "a.yml"), _report));
}
