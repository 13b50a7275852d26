using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql.EntityFrameworkCore.PostgreSQL.Metadata;

namespace Routing.EfCoreShop;

/// <summary>The first migration, as <c>dotnet ef migrations add</c> writes it: a type and a table.</summary>
[DbContext(typeof(ShopContext))]
[Migration("20261101000000_First")]
internal sealed class First : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.AlterDatabase().Annotation("Npgsql:Enum:order_state", "open,sent");
        migrationBuilder.CreateTable(
            name: "ef_orders",
            columns: table => new
            {
                Id = table.Column<long>("bigint", nullable: false)
                    .Annotation("Npgsql:ValueGenerationStrategy",
                        NpgsqlValueGenerationStrategy.IdentityByDefaultColumn),
                Article = table.Column<string>("text", nullable: false),
                State = table.Column<OrderState>("order_state", nullable: false),
            },
            constraints: table => table.PrimaryKey("PK_ef_orders", row => row.Id));
    }

    protected override void Down(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.DropTable("ef_orders");
        migrationBuilder.AlterDatabase().OldAnnotation("Npgsql:Enum:order_state", "open,sent");
    }
}

/// <summary>The model that the migrations lead to.</summary>
[DbContext(typeof(ShopContext))]
internal sealed class ShopSnapshot : ModelSnapshot
{
    protected override void BuildModel(ModelBuilder modelBuilder)
    {
        modelBuilder.HasAnnotation("Relational:MaxIdentifierLength", 63)
            .HasPostgresEnum("order_state", ["open", "sent"]);
        modelBuilder.UseIdentityByDefaultColumns();
        modelBuilder.Entity("Routing.EfCoreShop.Order", order =>
        {
            order.Property<long>("Id").ValueGeneratedOnAdd().HasColumnType("bigint").UseIdentityByDefaultColumn();
            order.Property<string>("Article").IsRequired().HasColumnType("text");
            order.Property<OrderState>("State").HasColumnType("order_state");
            order.HasKey("Id");
            order.ToTable("ef_orders");
        });
    }
}
